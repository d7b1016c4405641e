"""The policy: its errors, checks, the import of older ones, and the limits."""

from __future__ import annotations

from tests.golden.case import Case, Step, file, policy_text

_CHECK = "policy check ROOT/drafts/draft.yaml"
_DATES = "from: 2026-12-01T08:00Z, until: 2026-12-05T18:00Z"


def _draft(title: str, text: str | bytes) -> Case:
    return Case(title, _CHECK, (file("drafts/draft.yaml", text),))


def _import(title: str, text: str) -> Case:
    return Case(title, "policy import ROOT/old.yaml", (file("old.yaml", text),))


CASES = [
    Case("A policy with a mistake, for a user", "container-list", (policy_text("defaults: {memory: 3}\n"),)),
    Case("No policy, for a user", "container-list",
         (Step("the policy is deleted", lambda stage: stage.path("resource-limits.yaml").unlink()),)),
    Case("The policy in force is valid", "policy check"),
    Case("A policy to check that does not exist", "policy check ROOT/absent.yaml"),
    _draft("A policy that is empty", ""),
    _draft("A policy that is not YAML", "groups: [\n"),
    _draft("A policy with a tab", "defaults:\n\tmax_cpus: 1\n"),
    _draft("A policy that is not UTF-8", b"defaults: {}\n# caf\xe9\n"),
    _draft("A policy with two documents", "defaults: {}\n---\ndefaults: {}\n"),
    _draft("A policy that is too large", "#" * 2_000_000),
    _draft("A policy that is a list", "- defaults\n"),
    _draft("A policy with unknown keys", "defaults: {max_cpu: 1, memory: 3g}\nnonsense: 1\n"),
    _draft("A policy with a key twice", "defaults: {max_cpus: 1, max_cpus: 2}\n"),
    _draft("A policy with numbers that are too small",
           "defaults: {max_mig_instances: -3, max_cpus: -0.5, memory: -3g, idle_timeout: -1h}\n"),
    _draft("A policy with values of other kinds",
           "defaults: {max_cpus: x, memory: 3, idle_timeout: 48, allow_full_gpu: maybe, priority: 1000}\n"),
    _draft("A policy with sizes and durations that are too large",
           "defaults: {memory: 999999999999t, idle_timeout: 99999w, shm_size: 1.0000001k}\n"),
    _draft("A policy with an unknown unit", "defaults: {memory: 3q, idle_timeout: 3y}\n"),
    _draft("A policy with an unknown group", f"reservations:\n  - {{for: '@nope', slots: [0], {_DATES}}}\n"),
    _draft("A policy with a date that is none",
           "user_overrides: {alice: {max_cpus: 1, until: 2026-02-30}, bob: {max_cpus: 1, until: soon}}\n"),
    _draft("A policy with a relative path", "mounts: {workspace: [home]}\n"),
    _draft("A policy with a profile that is none", "gpu_allocation: {mig_profile: huge, placement: random}\n"),
    _draft("A policy that sets a variable of ds01", "defaults: {environment: {HOME: /x, 1X: y}}\n"),
    _draft("A policy with a list instead of a section", "defaults: [1]\ngroups: {a: [b]}\n"),
    Case("What a draft would change", f"{_CHECK} --against-current",
         ("container-deploy thesis pytorch --background",
          file("drafts/draft.yaml", "defaults: {max_mig_instances: 0, memory: 8g, max_containers_per_user: 1}\n"
                                    "groups: {nobodies: {members: [not-there]}}\n"))),
    _import("An older policy is imported", "defaults: {cpus: 16, gpu_memory: null}\n"),
    _import("An older policy that is no policy", "- x\n"),
    _import("An older policy with a wrong value", "defaults: {max_cpus: many, idle_timeout: 48}\n"),
    Case("An older policy that does not exist", "policy import ROOT/absent.yaml"),
    Case("An older policy is imported to a file that exists", "policy import ROOT/old.yaml --output ROOT/new.yaml",
         (file("old.yaml", "defaults: {max_cpus: 16}\n"), file("new.yaml", ""))),
    Case("The limits of a user", "limits"),
    Case("The limits of a user and where they come from", "limits --explain"),
    Case("The limits of an unknown user", "limits nobody-here"),
    Case("What is used of the limits", "check-limits", ("container-deploy thesis pytorch --background",)),
    Case("What somebody else uses of the limits", "boss$ check-limits --user alice"),
]  # fmt: skip
