/* Names for what the tools leave without one, and keys for what only a mouse could reach. */
document.addEventListener("DOMContentLoaded", () => {
  /* Widgets hand their labels to MathJax 2, whose interface MathJax 3 has not; no label holds a formula. */
  if (window.MathJax && !window.MathJax.Hub) window.MathJax.Hub = { Queue() {} };

  /* Names for screen readers where ipywidgets gives none. */
  const play = { "fa-play": "Play", "fa-pause": "Pause", "fa-stop": "Back to the start", "fa-retweet": "Repeat" };
  const set = (element, name) => {
    if (element.getAttribute("aria-label") !== name) element.setAttribute("aria-label", name);
  };
  const name = () => {
    document.querySelectorAll(".widget-slider").forEach((slider) => {
      const label = slider.querySelector(".widget-label");
      const readout = slider.querySelector(".widget-readout");
      slider.querySelectorAll(".noUi-handle").forEach((handle) => {
        if (label && label.textContent) set(handle, label.textContent);
        /* the value as the reader sees it, not the number of the position */
        if (readout && handle.getAttribute("aria-valuetext") !== readout.textContent)
          handle.setAttribute("aria-valuetext", readout.textContent);
      });
      if (readout && readout.hasAttribute("contenteditable") && label) set(readout, label.textContent + ", value");
    });
    document.querySelectorAll(".widget-play button").forEach((button) => {
      const icon = button.querySelector("i");
      const kind = icon && Object.keys(play).find((known) => icon.classList.contains(known));
      if (kind) set(button, play[kind]);
    });
    document.querySelectorAll(".widget-toggle-buttons").forEach((box) => {
      const label = box.querySelector(".widget-label");
      if (label && label.textContent) set(box, label.textContent);
      box.setAttribute("role", "group");
      box.querySelectorAll("button").forEach((button) => {
        const pressed = String(button.classList.contains("mod-active"));
        if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
      });
    });
    /* An explorer is a group with its title as name; what its controls change is read out, but not while it plays. */
    document.querySelectorAll(".lmc-explorer").forEach((box) => {
      const title = box.querySelector(".lmc-title");
      if (title) set(box, title.textContent);
      box.setAttribute("role", "group");
      const plays = box.querySelector(".widget-play .fa-pause");
      const stage = box.querySelector(".lmc-stage");
      if (stage) stage.setAttribute("aria-live", plays ? "off" : "polite");
    });
    document.querySelectorAll(".widget-dropdown select, .widget-text input").forEach((input) => {
      const label = input.parentElement.querySelector(".widget-label");
      if (label && label.textContent) set(input, label.textContent);
    });
  };
  name();

  /* The arrows that unfold a chapter in the side bar have no text. */
  document.querySelectorAll("nav details > summary").forEach((summary) => {
    const link = summary.closest("li") && summary.closest("li").querySelector("a");
    if (link && !summary.textContent.trim()) set(summary, "Pages below " + link.textContent.trim());
  });
  /* Sphinx lays a long signature out as a list without terms; to a screen reader it is no list. */
  document.querySelectorAll("dt.sig dl, dt.sig dl > dd").forEach((part) => part.setAttribute("role", "none"));

  /* The bibliography's entries have a role of their own, so the box around them is no list of list items. */
  document.querySelectorAll(".citation-list[role=list]").forEach((list) => list.removeAttribute("role"));

  /* No line may break inside 1e-4, behind a number and its unit, or around an equals sign that stands in a text. */
  const whole = /\d(?:\.\d+)?e-\d+|[−-]?[\d.,]+ %|\bn = \d+|λ = [¼½¾]/g;
  const leave = "pre, code, svg, script, style, mjx-container, .math, .jupyter-widgets, .lmc-whole";
  const texts = document.createTreeWalker(document.querySelector(".bd-article") || document.body, NodeFilter.SHOW_TEXT);
  const broken = [];
  while (texts.nextNode())
    if (texts.currentNode.data.match(whole) && !texts.currentNode.parentElement.closest(leave)) broken.push(texts.currentNode);
  broken.forEach((text) => {
    const parts = document.createDocumentFragment();
    let end = 0;
    for (const found of text.data.matchAll(whole)) {
      const kept = document.createElement("span");
      kept.className = "lmc-whole";
      kept.textContent = found[0];
      parts.append(text.data.slice(end, found.index), kept);
      end = found.index + found[0].length;
    }
    parts.append(text.data.slice(end));
    text.replaceWith(parts);
  });

  /* Nor between a formula and the comma behind it, or the bracket before it. */
  document.querySelectorAll(".bd-article span.math").forEach((formula) => {
    const { previousSibling: before, nextSibling: behind } = formula;
    const opening = before && before.nodeType === Node.TEXT_NODE && before.data.match(/[(\[“]+$/);
    const closing = behind && behind.nodeType === Node.TEXT_NODE && behind.data.match(/^[.,;:!?)\]”’%-]+/);
    if (!opening && !closing) return;
    const kept = document.createElement("span");
    kept.className = "lmc-whole";
    formula.replaceWith(kept);
    if (opening) {
      before.data = before.data.slice(0, opening.index);
      kept.append(opening[0]);
    }
    kept.append(formula);
    if (closing) {
      behind.data = behind.data.slice(closing[0].length);
      kept.append(closing[0]);
    }
  });

  let asked = false;
  new MutationObserver(() => {
    if (!asked) {
      asked = true;
      requestAnimationFrame(() => { asked = false; name(); });
    }
  }).observe(document.body, { childList: true, subtree: true, characterData: true, attributeFilter: ["class"] });

  /* What scrolls sideways must be reachable by keyboard. */
  const scrollable = () => {
    document.querySelectorAll(".bd-article pre, .bd-article .pst-scrollable-table-container, .bd-article div.math, .bd-article .output")
      .forEach((box) => {
        if (box.scrollWidth > box.clientWidth + 1 && !box.hasAttribute("tabindex")) box.tabIndex = 0;
      });
  };
  window.addEventListener("load", () => setTimeout(scrollable, 300));
  window.addEventListener("resize", scrollable);
});
