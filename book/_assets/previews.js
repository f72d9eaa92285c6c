/* What a link leads to (a theorem, an equation, a figure, a reference, a term), shown beside it while the mouse rests on
   it or the keyboard is at it. Targets on this page are copied; those on other pages stand in previews-texts.js, which is
   a script because a page from the disk may not read other pages. Fingers get none: a touch follows the link. */
(() => {
  const SHOWN = "div.proof, div.math, figure, div.citation, dl.glossary dt";
  const LINKS = ".bd-article a[href*='#']:not(.headerlink)";
  const NARROW = matchMedia("(max-width: 600px)");
  let box, link, timer, texts, loading;

  const root = () => new URL(document.documentElement.dataset.content_root || "./", location.href).href;

  const load = () => loading ||= new Promise((done) => {
    const script = document.createElement("script");
    script.src = root() + "_static/previews-texts.js";
    script.onload = script.onerror = () => done(texts = window.lmcPreviews || {});
    document.head.append(script);
  });

  /* A copy without names, so that no name stands twice on the page, and without links, which no tooltip may hold. */
  const copy = (target) => {
    const copied = document.createElement("div");
    copied.append(target.cloneNode(true));
    if (target.matches("dt")) copied.append(target.nextElementSibling.cloneNode(true));
    copied.querySelectorAll(".headerlink, .backrefs, .lmc-origin, style").forEach((part) => part.remove());
    copied.querySelectorAll("[id], [tabindex]").forEach((part) => ["id", "tabindex"].forEach((name) => part.removeAttribute(name)));
    copied.querySelectorAll("a").forEach((part) => part.replaceWith(...part.childNodes));
    return copied;
  };

  const textOf = async (wanted) => {
    const address = new URL(wanted.href);
    const id = decodeURIComponent(address.hash.slice(1));
    if (address.href.split("#")[0] === location.href.split("#")[0]) {
      const target = document.getElementById(id);
      return target && target.matches(SHOWN) && !target.contains(wanted) ? copy(target) : null;
    }
    if (!texts) await load();
    const text = texts[decodeURIComponent(address.href.split(/[?#]/)[0]).replace(decodeURIComponent(root()), "") + "#" + id];
    if (!text) return null;
    const made = document.createElement("div");
    made.innerHTML = text;
    return made;
  };

  const hide = () => {
    clearTimeout(timer);
    if (link) link.removeAttribute("aria-describedby");
    if (box) box.hidden = true;
    link = undefined;
  };

  const place = () => {
    const at = link.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - 8));
    const below = at.bottom + 6, above = at.top - box.offsetHeight - 6;
    box.style.left = left + scrollX + "px";
    box.style.top = (below + box.offsetHeight > innerHeight && above >= 0 ? above : below) + scrollY + "px";
  };

  const show = async (wanted) => {
    if (wanted === link || NARROW.matches) return;
    hide();
    link = wanted;
    const text = await textOf(wanted);
    if (link !== wanted) return; /* the reader went on while the texts came */
    if (!text) return hide();
    if (!box) {
      box = document.createElement("div");
      Object.assign(box, { id: "lmc-preview", className: "lmc-preview" });
      box.setAttribute("role", "tooltip");
      document.body.append(box);
    }
    const math = window.MathJax && MathJax.typesetPromise;
    if (math) MathJax.typesetClear([box]);
    box.replaceChildren(text);
    box.hidden = false;
    link.setAttribute("aria-describedby", box.id);
    place();
    if (math) await MathJax.typesetPromise([box]);
    if (link === wanted) place();
  };

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch" || !(event.target instanceof Element)) return;
    clearTimeout(timer);
    const wanted = event.target.closest(LINKS);
    if (wanted) timer = setTimeout(() => show(wanted), 200);
    else if (link && !event.target.closest(".lmc-preview") && document.activeElement !== link) timer = setTimeout(hide, 200);
  });
  document.addEventListener("focusin", (event) => {
    const wanted = event.target.closest(LINKS);
    if (wanted && wanted.matches(":focus-visible")) show(wanted);
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("click", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
