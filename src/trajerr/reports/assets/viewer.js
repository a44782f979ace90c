"use strict";
// The layer viewer. mount(element, data) shows what Python's viewer_data returns; elements with
// data-layer-viewer hold their data inside and are mounted as the script runs.
(() => {
  const BINS = 48, MARGIN = 26, TOUCH = 24; // px around a path; px within which a sample is meant
  let helps = 0; // viewers on the page, whose canvases are described each by its own text
  const RAMPS = { // small to large; thin lines are to be seen at both ends
    light: ["#22309c", "#6a1fa8", "#a5269a", "#cf4470", "#dd5f2c", "#cc7f0c"],
    dark: ["#5f8bff", "#9a7bf0", "#d070cf", "#f47b94", "#fba35f", "#fbe07a"],
  };

  function el(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  function array(text, Kind) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Kind(bytes.buffer);
  }

  // Positions in mm from the start of each stretch and the steps between samples, in µm.
  function decodePath(packed) {
    const starts = array(packed.starts, Int32Array), origin = array(packed.origin, Int32Array);
    const step = array(packed.step, Int16Array), count = step.length / 2;
    const x = new Float64Array(count), y = new Float64Array(count), first = new Uint8Array(count);
    let [px, py] = [0, 0];
    for (let i = 0, k = 0; i < count; i++) {
      if (i === starts[k]) { [px, py] = [origin[2 * k], origin[2 * k + 1]]; first[i] = 1; k++; }
      px += step[2 * i]; py += step[2 * i + 1];
      x[i] = px / 1000; y[i] = py / 1000;
    }
    return { count, x, y, first };
  }

  function decodeTrack(packed) {
    const track = decodePath(packed);
    if (packed.off) {
      const off = array(packed.off, Int16Array), unit = packed.off_unit;
      track.dx = new Float64Array(track.count); track.dy = new Float64Array(track.count);
      for (let i = 0; i < track.count; i++) { track.dx[i] = off[2 * i] * unit; track.dy[i] = off[2 * i + 1] * unit; }
    }
    track.values = {};
    for (const [key, text] of Object.entries(packed.values)) {
      track.values[key] = Float64Array.from(array(text, Uint16Array), (v) => v * packed.units[key]);
    }
    return track;
  }

  function ramp(colours) {
    const parts = colours.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
    return Array.from({ length: BINS }, (_, i) => {
      const at = (i / (BINS - 1)) * (parts.length - 1), low = Math.min(Math.floor(at), parts.length - 2);
      return `rgb(${parts[low].map((v, c) => Math.round(v + (parts[low + 1][c] - v) * (at - low))).join(" ")})`;
    });
  }

  const number = (v) => (v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2));

  class LayerViewer {
    constructor(root, data) {
      this.root = root; this.data = data; this.cache = new Map(); this.view = null; this.spots = null;
      this.many = data.tracks.length > 1;
      this.deviates = data.layers.some((l) => l.tracks.some((t) => t.off));
      this.dark = matchMedia("(prefers-color-scheme: dark)");
      this.state = {
        layer: Math.floor(data.layers.length / 2), side: false,
        colour: this.many || !data.quantities.length ? "track" : data.quantities[0].key,
        gain: this.deviates ? data.gains.indexOf(data.gain) : 0, shown: data.tracks.map(() => true),
      };
      this.build();
      new ResizeObserver(() => { if (!this.moved) this.view = null; this.draw(); }).observe(this.stage);
      this.dark.addEventListener("change", () => this.draw());
      this.changed();
      if (root.hasAttribute("data-address")) this.followAddress();
      this.paint();
      root.dataset.ready = "1";
    }

    // ---- controls

    build() {
      const d = this.data;
      this.slider = el("input", { type: "range", min: 0, max: d.layers.length - 1, value: this.state.layer,
        "aria-label": "layer", oninput: () => this.goLayer(+this.slider.value) });
      this.layerName = el("output");
      this.colour = el("select", { "aria-label": "colour", onchange: () => { this.state.colour = this.colour.value; this.changed(); } },
        ...(this.many || !d.quantities.length ? [el("option", { value: "track" }, this.many ? "print" : "path")] : []),
        ...d.quantities.map((q) => el("option", { value: q.key }, q.label)));
      this.colour.value = this.state.colour;
      this.gain = el("input", { type: "range", min: 0, max: d.gains.length - 1, value: this.state.gain,
        "aria-label": "magnification of the deviation", oninput: () => { this.state.gain = +this.gain.value; this.changed(); } });
      this.gainName = el("output");
      this.boxes = d.tracks.map((name, i) => el("input", { type: "checkbox", checked: true,
        onchange: (e) => { this.state.shown[i] = e.target.checked; this.changed(); } }));
      this.side = el("input", { type: "checkbox", onchange: () => { this.state.side = this.side.checked; if (!this.moved) this.view = null; this.changed(); } });
      const button = (text, title, act) => el("button", { type: "button", title, "aria-label": title, onclick: act }, text);
      const choices = el("fieldset", { class: "lv-tracks" }, el("legend", {}, "show"),
        ...d.tracks.map((name, i) => el("label", {}, this.boxes[i], el("i", { class: `lv-swatch lv-${i}` }), name)));
      this.canvas = el("canvas", { tabindex: 0, role: "img", "aria-describedby": `lv-help-${++helps}` });
      this.legend = el("div", { class: "lv-legend" });
      this.readout = el("div", { class: "lv-readout", "aria-live": "polite" });
      this.stage = el("div", { class: "lv-stage" }, this.canvas, this.legend, this.readout,
        el("div", { class: "lv-buttons" }, button("+", "zoom in", () => this.zoom(1.5)),
          button("−", "zoom out", () => this.zoom(1 / 1.5)), button("⤢", "show the whole layer", () => this.fit())));
      this.root.append(
        el("div", { class: "lv-controls" },
          el("div", { class: "lv-layer" }, button("‹", "layer below", () => this.goLayer(this.state.layer - 1)), this.slider,
            button("›", "layer above", () => this.goLayer(this.state.layer + 1)), this.layerName),
          ...(this.deviates ? [el("label", {}, "deviation", this.gain, this.gainName)] : []),
          el("label", {}, "colour", this.colour),
          ...(this.many ? [choices, el("label", {}, this.side, "side by side")] : [])),
        this.stage,
        el("p", { class: "lv-help", id: `lv-help-${helps}` }, this.count(), " Drag moves, wheel or two fingers zoom, a double click shows all. " +
          "Keys on the drawing: arrows move, + and − zoom, 0 shows all, Page Up and Page Down change the layer."));
      this.listen();
    }

    count() {
      const shown = this.data.layers.length, all = this.data.of_layers;
      const coarse = Math.max(...this.data.layers.map((l) => l.tolerance_um));
      return (shown < all ? `${shown} of ${all} layers are here, evenly spread, to keep the file small.` : "") +
        (coarse > 1 ? ` Lines are exact to ${coarse} µm.` : "");
    }

    listen() {
      const c = this.canvas, fingers = new Map();
      const place = (e) => { const box = c.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
      c.addEventListener("wheel", (e) => { e.preventDefault(); this.zoom(Math.exp(-e.deltaY / 400), ...place(e)); }, { passive: false });
      c.addEventListener("dblclick", () => this.fit());
      c.addEventListener("pointerdown", (e) => { fingers.set(e.pointerId, place(e)); try { c.setPointerCapture(e.pointerId); } catch { /* a made-up pointer */ } });
      for (const end of ["pointerup", "pointercancel"]) c.addEventListener(end, (e) => fingers.delete(e.pointerId));
      c.addEventListener("pointermove", (e) => {
        const now = place(e), before = fingers.get(e.pointerId);
        if (!before || !(e.buttons & 1)) { this.point(...now); return; }
        if (fingers.size === 2) {
          const [other] = [...fingers].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
          const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
          this.zoom(apart(now) / apart(before), ...other);
        } else this.pan(now[0] - before[0], now[1] - before[1]);
        fingers.set(e.pointerId, now);
      });
      c.addEventListener("click", (e) => this.point(...place(e)));
      c.addEventListener("keydown", (e) => {
        const step = 40, act = {
          ArrowLeft: () => this.pan(step, 0), ArrowRight: () => this.pan(-step, 0),
          ArrowUp: () => this.pan(0, step), ArrowDown: () => this.pan(0, -step),
          "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(0.8), 0: () => this.fit(),
          PageUp: () => this.goLayer(this.state.layer + 1), PageDown: () => this.goLayer(this.state.layer - 1),
        }[e.key];
        if (act && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); act(); }
      });
    }

    // ---- what is looked at

    gainOf() { return this.data.gains[this.state.gain]; }

    layer(index = this.state.layer) {
      if (!this.cache.has(index)) {
        const raw = this.data.layers[index];
        if (this.cache.size > 8) this.cache.clear();
        this.cache.set(index, { ...raw, nominal: decodePath(raw.nominal), tracks: raw.tracks.map(decodeTrack) });
      }
      return this.cache.get(index);
    }

    goLayer(index) {
      const next = Math.min(Math.max(index, 0), this.data.layers.length - 1);
      this.state.layer = next; this.slider.value = next;
      if (!this.moved) this.view = null;
      this.changed();
    }

    // The nearest shown layer by the print's number; with a place, `span` mm around it.
    goTo(number, x, y, span) {
      const far = this.data.layers.map((l) => Math.abs(l.number - number));
      this.goLayer(far.indexOf(Math.min(...far)));
      if ([x, y, span].every(Number.isFinite) && span > 0) {
        const [, , w, h] = this.panels()[0];
        this.view = { x, y, zoom: Math.min(w, h) / span }; this.moved = true;
      } else { this.view = null; this.moved = false; }
      this.draw();
    }

    followAddress() {
      const follow = () => {
        const wanted = new URLSearchParams(location.hash.slice(1));
        if (!wanted.has("layer")) return;
        const show = (name) => wanted.has(name) && [...this.colour.options].some((o) => o.value === wanted.get(name));
        if (show("colour")) { this.state.colour = this.colour.value = wanted.get("colour"); }
        const gain = this.data.gains.indexOf(Number(wanted.get("gain")));
        if (this.deviates && gain >= 0) { this.state.gain = gain; this.gain.value = gain; }
        if (wanted.has("side")) { this.state.side = this.side.checked = wanted.get("side") === "1"; }
        const at = (name) => (wanted.has(name) ? Number(wanted.get(name)) : NaN);
        this.goTo(Number.isFinite(at("layer")) ? at("layer") : 1, at("x"), at("y"), at("span"));
        this.changed();
        this.root.scrollIntoView({ block: "start" });
      };
      addEventListener("hashchange", follow);
      follow();
    }

    changed() {
      const l = this.data.layers[this.state.layer], d = this.data;
      this.layerName.textContent = `layer ${l.number}, z ${l.z.toFixed(2)} mm`;
      this.slider.setAttribute("aria-valuetext", this.layerName.textContent);
      this.gainName.textContent = this.state.gain ? `× ${this.gainOf()}` : "as it is";
      this.gain.setAttribute("aria-valuetext", this.gainName.textContent);
      this.canvas.setAttribute("aria-label", `${this.layerName.textContent}: ${d.tracks.filter((_, i) => this.state.shown[i]).join(", ")}`);
      this.readout.textContent = "";
      this.draw();
    }

    pan(dx, dy) { if (!this.view) this.whole(); this.moved = true; this.view.x -= dx / this.view.zoom; this.view.y += dy / this.view.zoom; this.draw(); }

    fit() { this.view = null; this.moved = false; this.draw(); }

    zoom(factor, px, py) {
      if (!this.view) this.whole();
      const panel = this.panels().find(([x, y, w, h]) => px >= x && px <= x + w && py >= y && py <= y + h) ?? this.panels()[0];
      const [cx, cy] = [panel[0] + panel[2] / 2, panel[1] + panel[3] / 2];
      const zoom = Math.min(Math.max(this.view.zoom * factor, 0.05), 50000), real = zoom / this.view.zoom;
      this.view.x += (((px ?? cx) - cx) / this.view.zoom) * (1 - 1 / real);
      this.view.y += ((cy - (py ?? cy)) / this.view.zoom) * (1 - 1 / real);
      this.view.zoom = zoom; this.moved = true; this.draw();
    }

    // ---- drawing

    // Rectangles [x, y, width, height] in px: one, or one a shown track, beside or below each other.
    panels() {
      const [w, h] = [this.stage.clientWidth, this.canvas.clientHeight];
      const count = this.state.side ? Math.max(this.state.shown.filter(Boolean).length, 1) : 1;
      return Array.from({ length: count }, (_, i) => (w >= h * 0.9
        ? [(i * w) / count, 0, w / count, h] : [0, (i * h) / count, w, h / count]));
    }

    whole() {
      let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
      const l = this.layer();
      for (const p of [l.nominal, ...l.tracks]) for (let i = 0; i < p.count; i++) {
        if (p.x[i] < x0) x0 = p.x[i]; if (p.x[i] > x1) x1 = p.x[i];
        if (p.y[i] < y0) y0 = p.y[i]; if (p.y[i] > y1) y1 = p.y[i];
      }
      if (!(x1 >= x0)) [x0, x1, y0, y1] = [0, 1, 0, 1];
      const [, , w, h] = this.panels()[0];
      const top = this.state.side ? 26 : 46; // below the scale and the legend
      const zoom = Math.min((w - 2 * MARGIN) / (x1 - x0 || 1), (h - MARGIN - top) / (y1 - y0 || 1));
      this.view = { x: (x0 + x1) / 2, y: (y0 + y1) / 2 + (top - MARGIN) / 2 / zoom, zoom };
    }

    draw() { if (!this.waiting) { this.waiting = true; requestAnimationFrame(() => { this.waiting = false; this.paint(); }); } }

    paint() {
      const c = this.canvas, dpr = window.devicePixelRatio || 1, style = getComputedStyle(this.root);
      if (!c.clientWidth || !c.clientHeight) return;
      const [w, h] = [Math.round(c.clientWidth * dpr), Math.round(c.clientHeight * dpr)];
      if (c.width !== w || c.height !== h) { c.width = w; c.height = h; }
      if (!this.view) this.whole();
      const ink = (name) => style.getPropertyValue(name).trim();
      this.inks = { paper: ink("--lv-paper"), ink: ink("--lv-ink"), nominal: ink("--lv-nominal"), grid: ink("--lv-grid"),
        tracks: this.data.tracks.map((_, i) => ink(`--lv-track-${i}`) || ink("--lv-ink")) };
      this.bins = ramp(RAMPS[ink("--lv-scheme") === "dark" ? "dark" : "light"]);
      const pen = (this.pen = c.getContext("2d"));
      pen.setTransform(dpr, 0, 0, dpr, 0, 0);
      pen.fillStyle = this.inks.paper; pen.fillRect(0, 0, c.clientWidth, c.clientHeight);
      pen.lineJoin = pen.lineCap = "round";
      const panels = this.panels(), shown = this.data.tracks.map((_, i) => i).filter((i) => this.state.shown[i]);
      this.spots = []; this.segments = 0;
      panels.forEach((panel, k) => this.paintPanel(panel, this.state.side ? shown.slice(k, k + 1) : shown));
      panels.slice(1).forEach(([x, y, pw, ph]) => {
        pen.strokeStyle = this.inks.grid; pen.lineWidth = 1;
        pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x ? x : pw, x ? ph : y); pen.stroke();
      });
      this.scaleBar(); this.drawLegend();
      c.dataset.segments = String(this.segments);
    }

    paintPanel([px, py, w, h], shown) {
      const pen = this.pen, l = this.layer(), v = this.view, gain = this.gainOf();
      pen.save(); pen.beginPath(); pen.rect(px, py, w, h); pen.clip();
      const toX = (x) => (x - v.x) * v.zoom + px + w / 2, toY = (y) => (v.y - y) * v.zoom + py + h / 2;
      const near = (x, y) => x > px - 50 && x < px + w + 50 && y > py - 50 && y < py + h + 50;
      const line = (p, xs, ys, value, top, width, colours) => {
        const paths = colours.map(() => new Path2D()); let last = -1, bin = 0, pen_at = -1;
        for (let i = 1; i < p.count; i++) {
          if (p.first[i] || !(near(xs[i], ys[i]) || near(xs[i - 1], ys[i - 1]) || v.zoom > 40)) continue;
          if (value) bin = Math.min(BINS - 1, Math.max(0, Math.floor((value[i] / top) * BINS)));
          if (pen_at !== i - 1 || last !== bin) paths[bin].moveTo(xs[i - 1], ys[i - 1]);
          paths[bin].lineTo(xs[i], ys[i]); last = bin; pen_at = i; this.segments++;
        }
        pen.lineWidth = width;
        paths.forEach((path, i) => { pen.strokeStyle = colours[i]; pen.stroke(path); });
      };
      const at = (p, g) => [Float64Array.from(p.x, (x, i) => toX(x + (g && p.dx ? g * p.dx[i] : 0))),
        Float64Array.from(p.y, (y, i) => toY(y + (g && p.dy ? g * p.dy[i] : 0)))];
      line(l.nominal, ...at(l.nominal, 0), null, 1, shown.some((i) => l.tracks[i].dx) ? 3 : 1, [this.inks.nominal]);
      const q = this.data.quantities.find((one) => one.key === this.state.colour);
      for (const i of shown) {
        const p = l.tracks[i], [xs, ys] = at(p, gain);
        this.spots.push({ track: i, p, xs, ys });
        line(p, xs, ys, q && p.values[q.key], q && q.top, 1.6, q ? this.bins : [this.inks.tracks[i]]);
      }
      if (this.state.side && shown.length) {
        pen.fillStyle = this.inks.ink; pen.font = "600 13px system-ui, sans-serif"; pen.textAlign = "center";
        pen.fillText(this.data.tracks[shown[0]], px + w / 2, py + h - 12);
      }
      pen.restore();
    }

    scaleBar() {
      const pen = this.pen, zoom = this.view.zoom, decade = 10 ** Math.floor(Math.log10(120 / zoom));
      const mm = [5, 2, 1].map((s) => s * decade).find((s) => s * zoom <= 120);
      pen.strokeStyle = pen.fillStyle = this.inks.ink; pen.lineWidth = 2; pen.lineCap = "butt"; pen.textAlign = "left";
      pen.beginPath(); pen.moveTo(16, 28); pen.lineTo(16 + mm * zoom, 28); pen.stroke();
      pen.font = "12.5px system-ui, sans-serif";
      pen.fillText(mm < 1 ? `${+(1000 * mm).toPrecision(2)} µm` : `${+mm.toPrecision(2)} mm`, 16, 21);
      const gain = this.gainOf();
      if (gain > 1) pen.fillText(`deviation × ${gain}`, 16, 45);
    }

    drawLegend() {
      const q = this.data.quantities.find((one) => one.key === this.state.colour);
      this.legend.hidden = !q;
      if (!q) return;
      this.legend.replaceChildren(el("span", {}, `${q.label} / ${q.unit}`),
        el("i"), el("div", {}, el("span", {}, "0"), el("span", {}, `≥ ${number(q.top)}`)));
      this.legend.querySelector("i").style.background = `linear-gradient(90deg, ${this.bins.join(",")})`;
    }

    // The numbers of the sample next to a place on the drawing.
    point(x, y) {
      let best = null, nearest = TOUCH ** 2;
      const panels = this.panels();
      (this.spots ?? []).forEach((spot, k) => {
        const [px, py, w, h] = panels[this.state.side ? k : 0];
        if (x < px || x > px + w || y < py || y > py + h) return;
        for (let i = 0; i < spot.p.count; i++) {
          const d = (spot.xs[i] - x) ** 2 + (spot.ys[i] - y) ** 2;
          if (d < nearest) { nearest = d; best = { spot, i }; }
        }
      });
      if (!best) { this.readout.textContent = ""; return; }
      const { spot: { track, p }, i } = best;
      const parts = [this.data.tracks[track], `x ${p.x[i].toFixed(2)} y ${p.y[i].toFixed(2)} mm`,
        ...this.data.quantities.map((q) => `${q.label} ${number(p.values[q.key][i])} ${q.unit}`)];
      this.readout.textContent = parts.join(" · ");
    }
  }

  const mounted = new WeakMap();
  window.trajerrViewer = {
    mount(root, data) { root.replaceChildren(); const made = new LayerViewer(root, data); mounted.set(root, made); return made; },
    of: (root) => mounted.get(root),
  };
  for (const root of document.querySelectorAll("[data-layer-viewer]")) {
    window.trajerrViewer.mount(root, JSON.parse(root.querySelector("script").textContent));
  }
})();
