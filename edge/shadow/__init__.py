"""A challenger beside the champion: it looks at the same frames, in a process of its own, and never has a say.

What the gates of a rollout may rely on (`ShadowDesk`, `ShadowFigures`):
- `begin` refuses at once, with ConfigError or ModelError, what could never run here: no recipe for its kind, classes
  without a rule, a reference that it wants and that is not there. It returns before the challenger is loaded.
- `figures(product).state` is `none`, `loading`, `looking` or `broken`; `why` says what broke. Loading takes what idle
  time the line leaves, and hurries after 20 s: give it a limit of your own. `broken` does not mend: the challenger died
  or hung three times, or could not be loaded.
- `slowest_ms` is processor time for one frame, on one thread: held against the time that a live model is given, it
  tells a challenger that is too slow.
- Figures count parts, not frames: `parts` were judged by both models, `skipped` were not for want of time. The share
  seen is parts / (parts + skipped). Parts before the challenger was loaded, master parts, and parts on which the
  champion itself has no answer are in neither.
- `disagreements` are parts with another verdict; a part that the challenger leaves UNDECIDED is one of them, and is
  counted in `undecided` too. `passes_of_rejects` are those that the champion rejects and the challenger passes.
- `faults` counts every answer that is no answer (NaN, a graph that fails, a process that ends or hangs). A sound model
  has none: one is enough to send a challenger back. A frame that does not lie on the golden reference is none.
- A challenger that passes everything shows as `rejects == 0` beside `champion_rejects`; one with its scores askew as
  `score_gap` (mean difference a part) beside `champion_score`.
- When another champion goes live, what was compared begins again from zero with the next part: `champion` says beside
  which it was counted, and `restarts` how often that was; `faults` and `slowest_ms` are the challenger's own and stay.
  `begin` of another bundle begins everything again; `begin` of the same one changes nothing.
- `end` may be called at any time, twice, and for a product without a shadow. What was counted stays to be read, with
  state `none`. A daemon that runs through a challenger's end never waits for it.
- A restart of the daemon ends every shadow: begin it again.
- Once `looking`, the graph is compiled in the station's cache as it will run live: the changeover only loads it.
"""
