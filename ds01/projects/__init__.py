"""A project and a person's set-up: folders, git, README, SSH, VS Code. Everything with the owner's uid."""
