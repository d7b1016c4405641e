"""The style sheet of all pages: light and dark, phone and desk, and paper."""

from __future__ import annotations

from typing import Final

# Series colours are those of Okabe and Ito, which people with colour blindness can tell apart.
STYLE_SHEET: Final = """
:root { color-scheme: light dark;
  --back: #fff; --card: #f4f6f8; --text: #1c2128; --muted: #57606a; --line: #d0d7de; --track: #e3e8ee;
  --alert: #b42318; --good: #0a6b4a; --unknown: #eceff2;
  --c1: #0072b2; --c2: #c77c00; --c3: #008a65; --c4: #b0568f; --c5: #2b9fd8; --c6: #c24d00; }
@media screen and (prefers-color-scheme: dark) { :root {
  --back: #0f1318; --card: #181e25; --text: #e6eaef; --muted: #9aa5b1; --line: #38414b; --track: #2a323b;
  --alert: #ff8a80; --good: #56d3a4; --unknown: #1f262e;
  --c1: #4aa8e0; --c2: #e6a93c; --c3: #2fbd92; --c4: #dd8fbf; --c5: #7cc7ee; --c6: #f08a4b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--back); color: var(--text);
  font: 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: break-word; -webkit-text-size-adjust: 100%; }
h1 { font-size: 1.5rem; margin: 0; line-height: 1.2; }
h2 { font-size: 1.15rem; margin: 1.75rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .4rem 0; }
ul { margin: .4rem 0; padding-left: 1.2rem; }
small, .muted { color: var(--muted); font-size: .875rem; }
.alert { color: var(--alert); }
.good { color: var(--good); }
.made { color: var(--muted); margin: .3rem 0 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 9.5rem), 1fr)); gap: .75rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .85rem; }
.tile strong { display: block; font-size: 1.5rem; line-height: 1.25; }
.tile > * { margin: 0; }
.box { background: var(--card); border-left: .25rem solid var(--alert); padding: .5rem .85rem; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption, th { text-align: left; }
th { font-weight: 600; color: var(--muted); font-size: .8125rem; }
th, td { padding: .4rem .6rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody th { color: var(--text); font-size: 1rem; }
td small, th small { display: block; font-weight: 400; }
bdi, figure, li, .tile, .box { overflow-wrap: anywhere; }
.nowrap, .cards time { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.bar { display: block; width: 100%; min-width: 4.5rem; height: .6rem; margin: .3rem 0 .1rem; }
.cards .bar { width: 9rem; }
.track { fill: var(--track); }
.unknown { fill: var(--unknown); stroke: var(--muted); stroke-width: 1; stroke-dasharray: 3 3;
  vector-effect: non-scaling-stroke; }
.c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); }
.c4 { fill: var(--c4); } .c5 { fill: var(--c5); } .c6 { fill: var(--c6); }
.s1, .s2, .s3, .s4, .s5, .s6 { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); stroke-dasharray: 7 3; } .s3 { stroke: var(--c3); }
.s4 { stroke: var(--c4); } .s5 { stroke: var(--c5); } .s6 { stroke: var(--c6); }
.q0 { fill: var(--track); } .q1 { fill: var(--c1); fill-opacity: .2; } .q2 { fill: var(--c1); fill-opacity: .4; }
.q3 { fill: var(--c1); fill-opacity: .6; } .q4 { fill: var(--c1); fill-opacity: .8; } .q5 { fill: var(--c1); }
figure { margin: 1.5rem 0 0; break-inside: avoid; }
figcaption { margin-bottom: .4rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; padding: 0; font-size: .875rem; }
.legend svg, .sample { display: inline-block; width: 1.1rem; height: .7rem; margin-right: .4rem; }
.bars { table-layout: fixed; }
.bars .label { width: 24%; }
.bars .value { width: 24%; text-align: right; }
.bars th, .bars td { border: 0; padding: .15rem .6rem .15rem 0; font-size: .9375rem; }
.bars th { color: var(--text); font-weight: 400; }
.bars .bar { height: 1rem; margin: .2rem 0; }
.plot { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .15rem .5rem; font-size: .8125rem;
  color: var(--muted); }
.plot svg { display: block; width: 100%; height: 13rem; overflow: visible; }
.plot .map { height: 10.5rem; }
.rows { display: flex; flex-direction: column; justify-content: space-between; text-align: right; line-height: 1; }
.plot .cells { justify-content: space-around; }
.columns { display: flex; justify-content: space-between; grid-column: 2; }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
footer { margin-top: 2rem; padding-top: .75rem; border-top: 1px solid var(--line); }
footer, footer p { color: var(--muted); font-size: .875rem; }
@media (max-width: 62rem) {
  .cards, .cards tbody { display: block; }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .cards tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .35rem .9rem;
    background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .75rem;
    margin-bottom: .6rem; }
  .cards th, .cards td { display: block; border: 0; padding: 0; text-align: left; min-width: 0; white-space: normal; }
  .cards .nothing { display: none; }
  .cards td::before { content: attr(data-label); display: block; color: var(--muted); font-size: .75rem; }
  .cards .bar { width: 100%; }
}
@media (max-width: 46rem) {
  .bars, .bars tbody { display: block; }
  .bars tbody tr { display: grid; grid-template-columns: minmax(0, 1fr) auto; margin-bottom: .35rem; }
  .bars th, .bars td { display: block; padding: 0; }
  .bars .label, .bars .value { width: auto; }
  .bars .value { grid-row: 1; grid-column: 2; padding-left: .75rem; }
  .bars .drawing { grid-column: 1 / -1; }
}
@media print {
  body { padding: 0; max-width: none; font-size: 10pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  tr, .tile { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""
