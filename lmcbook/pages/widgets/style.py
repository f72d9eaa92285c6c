"""How explorers look: one sheet of CSS that travels with each of them, with the figures' colours, light and dark."""

from lmcbook.pages.figures import style

_COLOURS = {
    "a": (style.STRONG, style.DARK[style.STRONG]),
    "b": (style.WEAK, style.DARK[style.WEAK]),
    "quiet": (style.CONTROL, style.DARK[style.CONTROL]),
    "faint": (style.FAINT, style.DARK[style.FAINT]),
}


def _variables(index: int) -> str:
    return "; ".join(f"--lmc-{name}: {colours[index]}" for name, colours in _COLOURS.items())


SHEET = f"""
.lmc-explorer, .lmc-stills, .lmc-live {{
  {_variables(0)}; --lmc-ground: var(--pst-color-background, var(--jp-layout-color0, #fff))
}}
@media screen {{
  :is(html[data-theme="dark"], [data-jp-theme-light="false"]) :is(.lmc-explorer, .lmc-stills, .lmc-live) {{
    {_variables(1)}
  }}
}}
.jupyter-widgets.lmc-explorer {{
  max-width: 48rem; overflow: visible; padding: .75rem; border: 1px solid var(--lmc-faint); border-radius: .5rem;
  color: inherit
}}
.lmc-explorer .jupyter-widgets {{overflow: visible; max-width: 100%}}
.lmc-explorer .widget-html, .lmc-explorer .widget-html-content {{
  margin: 0; line-height: 1.4; width: 100%; height: auto
}}
.lmc-explorer .widget-html-content {{color: inherit; font-size: inherit}}
.lmc-explorer .lmc-controls {{flex-flow: row wrap; gap: .25rem 1.5rem; align-items: center; margin-bottom: .5rem}}
.lmc-explorer .lmc-controls > * {{flex-flow: row nowrap; align-items: center; gap: 0 .25rem}}
.lmc-explorer .lmc-buttons {{flex-wrap: wrap}}
.lmc-explorer .lmc-slider {{flex: 0 1 17rem}}
.lmc-explorer .lmc-plays {{flex-basis: 100%}}
.lmc-explorer .widget-label {{width: auto; min-width: 3rem; text-align: left}}
.lmc-explorer .widget-readout {{min-width: 3.5rem; width: auto}}
.lmc-explorer .widget-hslider {{height: auto; min-height: 2rem; align-items: center}}
.lmc-explorer .widget-toggle-buttons {{
  display: flex; flex-flow: row nowrap; align-items: center; width: max-content; height: auto; min-height: 2rem
}}
.lmc-explorer .widget-toggle-buttons .widget-label {{min-width: 0; margin: 0 .25rem 0 0}}
.lmc-explorer .widget-play {{width: auto; margin: 0}}
.lmc-explorer .widget-play button {{width: 2.25rem; height: 2rem; line-height: 2rem; flex: none; padding: 0}}
.lmc-explorer .widget-toggle-button {{
  height: 2rem; line-height: 1.9rem; width: auto; padding: 0 .75rem; margin: 0 1px
}}
.lmc-explorer .widget-toggle-button.mod-active {{
  background: var(--lmc-faint); color: inherit; box-shadow: inset 0 -3px 0 var(--lmc-a); font-weight: 600
}}
.lmc-title {{margin: 0 0 .5rem; font-weight: 600}}
.lmc-overlay {{display: grid; grid-template-columns: minmax(0, 1fr)}}
.lmc-overlay > * {{grid-area: 1 / 1}}
.lmc-panels {{display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: flex-start}}
.lmc-panels > svg {{
  flex: 1 1 18rem; min-width: 0; max-width: 30rem; height: auto; display: block; overflow: visible; font-family: inherit
}}
.lmc-panels text {{font-size: 12px; fill: currentColor; stroke: none}}
.lmc-panels .T {{font-size: 13px; font-weight: 600}}
.lmc-panels .h {{
  paint-order: stroke; stroke: var(--lmc-ground); stroke-width: 4px; stroke-linejoin: round; font-weight: 600
}}
.lmc-panels path {{fill: none; stroke: currentColor; stroke-linejoin: round}}
.lmc-panels .x {{stroke-width: .8}}
.lmc-panels .g {{stroke: var(--lmc-faint); stroke-width: .7}}
.lmc-panels .c {{stroke: var(--lmc-quiet); stroke-width: .9; opacity: .45}}
.lmc-panels .p {{stroke: var(--lmc-a); stroke-width: .9; opacity: .55}}
.lmc-panels .l {{stroke: var(--lmc-a); stroke-width: 2.5}}
.lmc-panels .d {{stroke: currentColor; stroke-width: 1.4; stroke-dasharray: 6 4}}
.lmc-panels .e {{stroke: var(--lmc-b); stroke-width: 1.6; stroke-dasharray: 2 3}}
.lmc-panels .v {{stroke: currentColor; stroke-width: 1; opacity: .6}}
.lmc-panels .m {{fill: var(--lmc-a); stroke: var(--lmc-ground); stroke-width: 2}}
.lmc-panels .k {{fill: var(--lmc-a); stroke: none}}
.lmc-panels .A, .lmc-key .A {{fill: var(--lmc-a); stroke: none}}
.lmc-panels .A path {{stroke: var(--lmc-a); stroke-linecap: round}}
.lmc-panels .B, .lmc-key .B {{fill: none; stroke: var(--lmc-b); stroke-width: 1.6}}
.lmc-panels .u .B {{stroke-width: 16}}
.lmc-panels .u .g {{stroke-width: 7}}
.lmc-panels .s {{fill: var(--lmc-quiet); stroke: none}}
.lmc-panels .f {{fill: var(--lmc-faint); stroke: none}}
.lmc-panels .half {{opacity: .5}}
.lmc-read {{display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .5rem 0 0; line-height: 1.35}}
.lmc-read > span {{font-size: .875em}}
.lmc-read b {{display: block; font-size: 1.15em; font-variant-numeric: tabular-nums; white-space: nowrap}}
.lmc-room {{visibility: hidden}}
.lmc-note {{margin: .25rem 0 0; font-size: .875em}}
.lmc-explorer .lmc-key svg, .lmc-stills .lmc-key svg {{
  display: inline-block; width: 1em; height: 1em; vertical-align: -.1em; margin: 0; overflow: visible
}}
.lmc-failed {{margin: .5rem 0; border-left: 4px solid var(--lmc-b); padding-left: .75rem}}
.lmc-stills {{
  display: grid; gap: 1.25rem 1.5rem; max-width: 48rem; text-align: left;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr))
}}
.lmc-stills > p {{grid-column: 1 / -1; margin: 0}}
.lmc-still {{break-inside: avoid; min-width: 0}}
"""
"""Letters for what stands in every frame: T title, h text over lines, x axis, g grid, c other curves, p pairs, l mean,
d prediction, e other prediction, v guide, m marker, k point, A unit of a, B unit of b, u drawn in tenths, s shared,
f ground."""
