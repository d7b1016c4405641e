"""Charts as SVG within HTML, which scale to the width of a phone with legible labels. Unknown is drawn as unknown."""
