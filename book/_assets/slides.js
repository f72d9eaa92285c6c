/* Every figure as a picture for a slide, 1920 × 1080 and on white, made where the reader is: nothing of it is in the page.
   Of the two drawings of a figure that which fills the slide better is taken, so that its letters are large. */
document.addEventListener("DOMContentLoaded", () => {
  const WIDTH = 1920, HEIGHT = 1080, MARGIN = 40;

  const fitted = (drawing) => {
    const { width, height } = drawing.viewBox.baseVal;
    return Math.min((WIDTH - 2 * MARGIN) / width, (HEIGHT - 2 * MARGIN) / height);
  };

  const slide = (figure) => {
    const drawings = [...figure.querySelectorAll(".lmc-wide > svg, .lmc-narrow > svg")];
    const best = drawings.reduce((one, other) => (fitted(other) > fitted(one) ? other : one));
    const copy = best.cloneNode(true);
    const place = { x: MARGIN, y: MARGIN, width: WIDTH - 2 * MARGIN, height: HEIGHT - 2 * MARGIN, color: "#1f2a37" };
    for (const [name, value] of Object.entries(place)) copy.setAttribute(name, value);
    copy.setAttribute("font-family", "system-ui, 'DejaVu Sans', sans-serif");
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}">`
      + `<rect width="100%" height="100%" fill="#fff"/>${new XMLSerializer().serializeToString(copy)}</svg>`;
  };

  const save = (address, name) => Object.assign(document.createElement("a"), { href: address, download: name }).click();

  const SAVE = {
    PNG: (svg, name) => {
      const image = new Image();
      image.onload = () => {
        const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
        canvas.getContext("2d").drawImage(image, 0, 0);
        save(canvas.toDataURL("image/png"), name);
      };
      image.src = "data:image/svg+xml," + encodeURIComponent(svg);
    },
    SVG: (svg, name) => save("data:image/svg+xml," + encodeURIComponent(svg), name),
  };

  document.querySelectorAll(".lmc-figure").forEach((figure) => {
    const list = figure.querySelector(".lmc-origin ul");
    if (!list || !figure.querySelector(".lmc-wide > svg")) return;
    const data = list.querySelector("a[download]");
    const name = data ? data.download.replace(/\.csv$/, "") : "figure";
    const item = document.createElement("li");
    item.className = "lmc-slide";
    item.append("For a slide, 1920 × 1080: ");
    for (const [kind, make] of Object.entries(SAVE)) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: kind });
      button.setAttribute("aria-label", `${kind} of this figure for a slide`);
      button.addEventListener("click", () => make(slide(figure), `${name}.${kind.toLowerCase()}`));
      item.append(button, " ");
    }
    list.append(item);
  });
});
