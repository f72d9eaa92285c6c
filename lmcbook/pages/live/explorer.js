/* The live explorer: merges the two networks of the page and asks them, at every move of the reader.
   Plain JavaScript without a library and without a request: the weights and images stand beside it as JSON. */
(() => {
  const WAYS = { a: "model a", b: "model b", average: "average", repaired: "repaired average", ensemble: "ensemble" };
  const WAYS_OF_LINE = ["average", "repaired", "ensemble"];
  const SIDE = 8, PIXELS = SIDE * SIDE, DARK = 16, CLASSES = 10;

  /* --- networks ------------------------------------------------------------------------------------------------ */
  const unpack = ({ shape: [units, inputs], scale, int16 }) => {
    const bytes = Uint8Array.from(atob(int16), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const values = Float64Array.from({ length: units * inputs }, (_, index) => view.getInt16(2 * index, true) * scale);
    return { units, inputs, values };
  };
  const product = ({ units, inputs, values }, input) => {
    const output = new Float64Array(units);
    for (let unit = 0, place = 0; unit < units; unit++) {
      let sum = 0;
      for (let each = 0; each < inputs; each++) sum += values[place++] * input[each];
      output[unit] = sum;
    }
    return output;
  };
  const plus = (vector, other) => (other ? vector.map((value, index) => value + other[index]) : vector);
  const relu = (vector) => vector.map((value) => Math.max(0, value));
  /* The mean of a + the mean of b in these sizes; of one network with `sizes` of 1 and 0. */
  const mixed = (first, second, sizes) => first.map((value, index) => sizes[0] * value + sizes[1] * second[index]);
  const mean = (vectors) => {
    const sum = new Float64Array(vectors[0].length);
    for (const vector of vectors) vector.forEach((value, index) => { sum[index] += value; });
    return sum.map((value) => value / vectors.length);
  };
  const norm2 = (vector) => vector.reduce((sum, value) => sum + value * value, 0);
  const logitsOf = (network, image) =>
    network.weights.reduce((signal, weight, layer) => {
      const output = plus(product(weight, signal), network.biases[layer]);
      return layer === network.weights.length - 1 ? output : relu(output);
    }, image);
  const merged = (pair, lambda) => ({
    weights: pair[0].weights.map((weight, layer) => ({
      ...weight, values: mixed(weight.values, pair[1].weights[layer].values, [lambda, 1 - lambda]),
    })),
    biases: [],
  });
  /* Layer after layer: the inputs of every linear map and what it makes of them, over some images. */
  const walk = (network, images, visit) => {
    let signals = images;
    network.weights.forEach((weight, layer) => {
      const outputs = signals.map((signal) => product(weight, signal));
      visit(layer, signals, outputs);
      signals = outputs.map((output) => relu(plus(output, network.biases[layer])));
    });
  };
  /* One bias for each hidden layer, which brings the mean pre-activations to λ^ℓ μ_a + (1−λ)^ℓ μ_b. */
  const repaired = (setting, lambda) => {
    const network = merged(setting.pair, lambda);
    if (lambda === 0 || lambda === 1) return network;
    walk(network, setting.repairing, (layer, _, outputs) => {
      if (layer === network.weights.length - 1) return;
      const sizes = [lambda ** (layer + 1), (1 - lambda) ** (layer + 1)];
      const target = mixed(...setting.means.map((means) => means[layer]), sizes);
      network.biases[layer] = mixed(target, mean(outputs), [1, -1]);
    });
    return network;
  };
  /* Of every layer that reads hidden units: reciprocal orthogonality, the share of the cross-talk's energy that is the
     same for every image, and of the features' energy the common mode, which is the same for all units. */
  const crossTalk = (setting, images) => {
    const found = setting.pair[0].weights.map(() => ({ energy: 0, constant: 0, common: 0 }));
    const added = (vector) => vector.reduce((sum, value) => sum + value, 0);
    setting.pair.forEach((network, index) =>
      walk(network, images, (layer, signals, own) => {
        const crossed = signals.map((signal) => product(setting.pair[1 - index].weights[layer], signal));
        const energy = (vectors) => vectors.reduce((sum, vector) => sum + norm2(vector), 0) / vectors.length;
        found[layer].energy += energy(crossed) / energy(own) / 2;
        found[layer].constant += norm2(mean(crossed)) / energy(own) / 2;
        const alike = signals.reduce((sum, signal) => sum + added(signal) ** 2 / signal.length, 0) / signals.length;
        found[layer].common += alike / energy(signals) / 2;
      }));
    return found.slice(1).map(({ energy, constant, common }) =>
      ({ size: Math.sqrt(energy), share: constant / energy, common }));
  };
  const largest = (vector) => vector.indexOf(Math.max(...vector));
  const probabilities = (logits) => {
    const powers = logits.map((value) => Math.exp(value - Math.max(...logits)));
    const sum = powers.reduce((total, value) => total + value, 0);
    return powers.map((value) => value / sum);
  };

  /* --- the page ------------------------------------------------------------------------------------------------ */
  const make = (tag, given = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const percent = (share, digits = 0) => (100 * share).toFixed(digits).replace("-", "−");

  const start = (root) => {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const levels = (pixels) => Array.from(pixels, (letter) => parseInt(letter, 36));
    const normalised = (image) => Float64Array.from(image, (level) => (level / DARK - data.mean) / data.std);
    const cut = (pixels) => Array.from({ length: pixels.length / PIXELS },
      (_, index) => levels(pixels.slice(PIXELS * index, PIXELS * (index + 1))));
    const tests = cut(data.test.pixels), labels = levels(data.test.labels), inputs = tests.map(normalised);
    const repairing = cut(data.repair.pixels).map(normalised);

    /* What a setting needs at every λ, computed when the reader first comes to it. */
    const settings = data.settings.map((given) => ({ given }));
    const prepared = (setting) => {
      if (setting.pair) return setting;
      setting.pair = setting.given.networks.map((network) => ({ weights: network.map(unpack), biases: [] }));
      setting.repairing = repairing;
      setting.means = setting.pair.map((network) => {
        const means = [];
        walk(network, repairing, (layer, _, outputs) => { means[layer] = mean(outputs); });
        return means;
      });
      setting.logits = setting.pair.map((network) => inputs.map((image) => logitsOf(network, image)));
      setting.layers = crossTalk(setting, inputs);
      return setting;
    };

    let image = Array(PIXELS).fill(0), shown = null, active = 0, asked = false;

    /* controls */
    const radios = (legend, name, values, label) => {
      const group = make("fieldset", {}, make("legend", {}, legend));
      values.forEach((value, index) => {
        const input = make("input", { type: "radio", name: `lmc-live-${name}`, value });
        input.checked = index === values.length - 1;
        group.append(make("label", {}, input, label(value)));
      });
      return group;
    };
    const distinct = (name) => [...new Set(data.settings.map((setting) => setting[name]))];
    const width = radios("width", "width", distinct("width"), (value) => `×${value}`);
    const batch = radios("batch", "batch", distinct("batch"), String);
    const slider = make("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0.5, "aria-label": "λ" });
    const reading = make("output", {});
    const line = make("label", { class: "lmc-live-line" }, make("span", {}, "λ"), slider, reading);
    const button = (text, act) => {
      const element = make("button", { type: "button" }, text);
      element.addEventListener("click", act);
      return element;
    };

    /* the digit, a grid of cells of which one is in the order of the Tab key */
    const cells = Array.from({ length: PIXELS }, () => make("div", { role: "gridcell" }));
    const grid = make("div", { role: "grid", class: "lmc-live-digit", "aria-label":
      "The digit, 8 by 8. Arrow keys move, the space bar darkens a place and, once it is black, wipes it." });
    for (let row = 0; row < SIDE; row++)
      grid.append(make("div", { role: "row" }, ...cells.slice(SIDE * row, SIDE * (row + 1))));
    const caption = make("p", { class: "lmc-live-caption" });
    const status = make("p", { role: "status", class: "lmc-live-status" });

    /* answers and layers */
    const rows = {};
    const body = make("tbody");
    for (const [way, name] of Object.entries(WAYS)) {
      rows[way] = { answer: make("td"), bars: make("td"), right: make("td") };
      body.append(make("tr", { "data-way": way }, make("th", { scope: "row" }, name), ...Object.values(rows[way])));
    }
    const digits = make("span", { class: "lmc-live-bars" },
      ...Array.from({ length: CLASSES }, (_, digit) => make("span", {}, String(digit))));
    const head = (...names) => make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
    const answers = make("table", { class: "lmc-live-answers" }, make("caption", {}, "What they answer"),
      head("", "answer", digits, `right of ${tests.length}`), body);
    const layerBody = make("tbody");
    const layers = make("table", { class: "lmc-live-layers" },
      make("caption", {}, "What each model's weights make of the other's features"),
      head("layer", "size", "the same for every image", "common mode of the features"), layerBody);

    const chosen = () => settings.find(({ given }) => ["width", "batch"].every((name) =>
      given[name] === Number(root.querySelector(`[name=lmc-live-${name}]:checked`).value)));
    const networks = (setting, lambda) => {
      if (setting.lambda !== lambda) {
        const built = { average: merged(setting.pair, lambda), repaired: repaired(setting, lambda) };
        const all = { a: setting.logits[0], b: setting.logits[1] };
        for (const way in built) all[way] = inputs.map((each) => logitsOf(built[way], each));
        all.ensemble = all.a.map((logits, index) => mixed(logits, all.b[index], [lambda, 1 - lambda]));
        setting.right = {}, setting.said = {};
        for (const way in WAYS) {
          setting.said[way] = all[way].map(largest);
          setting.right[way] = setting.said[way].filter((answer, index) => answer === labels[index]).length;
        }
        Object.assign(setting, { lambda, built });
      }
      return setting;
    };

    const render = () => {
      asked = false;
      const lambda = Number(slider.value), setting = networks(prepared(chosen()), lambda);
      const input = normalised(image), logits = {};
      setting.pair.forEach((network, index) => { logits["ab"[index]] = logitsOf(network, input); });
      for (const way in setting.built) logits[way] = logitsOf(setting.built[way], input);
      logits.ensemble = mixed(logits.a, logits.b, [lambda, 1 - lambda]);
      const parents = lambda * setting.right.a + (1 - lambda) * setting.right.b;
      for (const way in WAYS) {
        const found = Array.from(probabilities(logits[way])), answer = largest(found);
        const wrong = shown !== null && answer !== labels[shown];
        const said = found.map((value, digit) => `${digit}: ${value.toFixed(4)}`).join(", ");
        rows[way].answer.replaceChildren(make("b", wrong ? { class: "lmc-live-wrong" } : {}, String(answer)),
          ` ${percent(found[answer])} %`, ...(wrong ? [make("span", {}, " wrong")] : []));
        rows[way].bars.replaceChildren(make("div", { class: "lmc-live-bars", role: "img", "aria-label":
          `probabilities of ${WAYS[way]}: ${said}` }, ...found.map((value, digit) => make("i", {
          class: digit === answer ? "lmc-live-answer" : "", style: `height: ${(100 * value).toFixed(1)}%` }))));
        const lost = WAYS_OF_LINE.includes(way)
          ? ` (${percent((parents - setting.right[way]) / tests.length, 1)} points lost)` : "";
        rows[way].right.textContent = `${setting.right[way]}${lost}`;
      }
      layerBody.replaceChildren(...setting.layers.map(({ size, share, common }, index) => make("tr", {},
        make("th", { scope: "row" }, index === setting.layers.length - 1 ? "logits" : String(index + 2)),
        make("td", {}, size.toFixed(4)),
        make("td", {}, make("span", { class: "lmc-live-share" }, make("i", { style: `width: ${percent(share, 1)}%` })),
          ` ${percent(share, 2)} %`),
        make("td", {}, `${percent(common, 2)} %`))));
      reading.textContent = lambda.toFixed(2);
      slider.setAttribute("aria-valuetext", `${lambda.toFixed(2)} of model a`);
      cells.forEach((cell, index) => {
        cell.style.setProperty("--lmc-ink", image[index] / DARK);
        cell.tabIndex = index === active ? 0 : -1;
        cell.setAttribute("aria-label",
          `row ${Math.floor(index / SIDE) + 1}, column ${index % SIDE + 1}: ${image[index]} of ${DARK}`);
      });
      caption.textContent = shown === null ? "Drawn by you" : `Test image ${shown + 1} of ${tests.length}, a ${labels[shown]}`;
    };
    const ask = () => { if (!asked) { asked = true; requestAnimationFrame(render); } };

    /* what the reader does */
    const show = (index) => {
      shown = (index + tests.length) % tests.length;
      image = [...tests[shown]];
      status.textContent = "";
      ask();
    };
    const saved = (after) => {
      const { said } = networks(prepared(chosen()), Number(slider.value));
      const order = tests.map((_, index) => (after + 1 + index) % tests.length);
      return order.find((index) => said.average[index] !== labels[index] && said.repaired[index] === labels[index]);
    };
    const next = () => {
      const index = saved(shown ?? -1);
      if (index !== undefined) return show(index);
      status.textContent = "At this λ there is no test image that the average gets wrong and the repair right.";
    };
    const paint = (index, level) => {
      image[index] = level;
      shown = null;
      ask();
    };
    const move = (index) => {
      active = index;
      cells.forEach((cell, each) => { cell.tabIndex = each === active ? 0 : -1; });
    };
    let ink = DARK;
    const placeAt = (event) => cells.indexOf(document.elementFromPoint(event.clientX, event.clientY));
    grid.addEventListener("pointerdown", (event) => {
      const index = placeAt(event);
      if (index < 0) return;
      grid.setPointerCapture(event.pointerId);
      ink = image[index] === DARK ? 0 : DARK;
      move(index);
      paint(index, ink);
    });
    grid.addEventListener("pointermove", (event) => {
      const index = placeAt(event);
      if (event.buttons && index >= 0 && image[index] !== ink) paint(index, ink);
    });
    grid.addEventListener("keydown", (event) => {
      const row = Math.floor(active / SIDE), column = active % SIDE;
      const steps = { ArrowLeft: column > 0 && -1, ArrowRight: column < SIDE - 1 && 1, ArrowUp: row > 0 && -SIDE,
        ArrowDown: row < SIDE - 1 && SIDE };
      if (event.key in steps) {
        move(active + (steps[event.key] || 0));
        cells[active].focus();
      } else if (event.key === " " || event.key === "Enter") {
        paint(active, image[active] === DARK ? 0 : Math.min(DARK, image[active] + DARK / 2));
      } else return;
      event.preventDefault();
    });
    slider.addEventListener("input", () => { status.textContent = ""; ask(); });
    for (const group of [width, batch]) group.addEventListener("change", () => { status.textContent = ""; ask(); });

    root.append(
      make("p", { class: "lmc-title" }, "Merged while you watch"),
      make("div", { class: "lmc-live-controls" }, width, batch, line),
      make("div", { class: "lmc-live-parts" },
        make("div", {}, grid, caption, make("div", { class: "lmc-live-buttons" },
          button("◂ previous", () => show((shown ?? 0) - 1)), button("next ▸", () => show((shown ?? -1) + 1)),
          button("next that the repair saves", next),
          button("wipe, to draw", () => { image = Array(PIXELS).fill(0); shown = null; ask(); })), status),
        answers),
      layers);
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "Live explorer: two networks, merged while you watch");
    show(saved(-1) ?? 0);
    render();
  };
  for (const root of document.querySelectorAll(".lmc-live:not([role])")) start(root);
})();
