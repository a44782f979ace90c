"use strict";
(() => {
  const data = JSON.parse(document.getElementById("layers").textContent);
  const $ = (id) => document.getElementById(id);
  const canvas = $("view"), pen = canvas.getContext("2d");

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const length = (a, b) => Float32Array.from(a, (v, i) => Math.hypot(v, b[i]));

  const STRIP = 60, MARGIN = 30; // px kept free for scale and legend; around the path

  // What a path can be coloured by, and what displaces it when deviations are drawn larger.
  const QUANTITIES = {
    speed: { name: "commanded speed", unit: "mm/s", scale: 1, of: (l) => l.speed },
    error: { name: "true error", unit: "µm", scale: 1000, of: (l) => length(l.ex, l.ey), dx: "ex", dy: "ey" },
    predicted: { name: "predicted error", unit: "µm", scale: 1000, of: (l) => length(l.px, l.py), dx: "px", dy: "py" },
    residual: { name: "residual", unit: "µm", scale: 1000,
      of: (l) => length(l.px.map((v, i) => v - l.ex[i]), l.py.map((v, i) => v - l.ey[i])) },
  };

  const cache = new Map();
  function layer(index) {
    if (!cache.has(index)) {
      const raw = data.layers[index], decoded = { label: raw.label, printing: bytes(raw.printing) };
      for (const key of ["t", "x", "y", "speed", "ex", "ey", "px", "py"]) decoded[key] = floats(raw[key]);
      cache.set(index, decoded);
    }
    return cache.get(index);
  }

  const state = { layer: 0, quantity: "error", gain: 0, travel: false };
  let view = null; // {x, y: mm at the canvas' centre, zoom: px per mm}
  let drawn = null; // displaced positions, for the readout

  function fit(l) {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < l.x.length; i++) {
      if (!state.travel && !l.printing[i]) continue;
      x0 = Math.min(x0, l.x[i]); x1 = Math.max(x1, l.x[i]);
      y0 = Math.min(y0, l.y[i]); y1 = Math.max(y1, l.y[i]);
    }
    if (x0 > x1) [x0, x1, y0, y1] = [0, 1, 0, 1];
    const [width, height] = [canvas.clientWidth - 2 * MARGIN, canvas.clientHeight - STRIP - MARGIN];
    const zoom = Math.min(width / (x1 - x0 || 1), height / (y1 - y0 || 1));
    view = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, zoom };
  }

  const centreX = () => canvas.clientWidth / 2;
  const centreY = () => (canvas.clientHeight + STRIP - MARGIN) / 2;
  const toX = (x) => (x - view.x) * view.zoom + centreX();
  const toY = (y) => (view.y - y) * view.zoom + centreY();

  function draw() {
    const l = layer(state.layer), q = QUANTITIES[state.quantity];
    const dpr = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * dpr;
    canvas.height = canvas.clientHeight * dpr;
    if (!view) fit(l);
    pen.setTransform(dpr, 0, 0, dpr, 0, 0);
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.lineCap = "butt";
    const gain = q.dx ? state.gain : 0;
    const xs = l.x.map((v, i) => toX(v + (gain ? gain * l[q.dx][i] : 0)));
    const ys = l.y.map((v, i) => toY(v + (gain ? gain * l[q.dy][i] : 0)));
    drawn = { xs, ys };
    if (gain) strokeCommanded(l);
    strokeColoured(l, xs, ys, q.of(l), data.top[state.quantity]);
    scaleBar();
    legend(q, data.top[state.quantity]);
    $("name").textContent = l.label;
  }

  function strokeCommanded(l) {
    pen.strokeStyle = "#b9bfc5";
    pen.lineWidth = 1;
    pen.beginPath();
    for (let i = 1; i < l.x.length; i++) {
      if (!state.travel && !(l.printing[i] && l.printing[i - 1])) continue;
      pen.moveTo(toX(l.x[i - 1]), toY(l.y[i - 1]));
      pen.lineTo(toX(l.x[i]), toY(l.y[i]));
    }
    pen.stroke();
  }

  // One stroke a colour: thousands of single strokes would be slow.
  function strokeColoured(l, xs, ys, values, top) {
    const colours = data.colours, paths = colours.map(() => new Path2D());
    let segments = 0;
    for (let i = 1; i < xs.length; i++) {
      if (!state.travel && !(l.printing[i] && l.printing[i - 1])) continue;
      const bin = Math.min(colours.length - 1, Math.floor((values[i] / top) * colours.length));
      paths[bin].moveTo(xs[i - 1], ys[i - 1]);
      paths[bin].lineTo(xs[i], ys[i]);
      segments++;
    }
    pen.lineWidth = 1.7;
    paths.forEach((path, i) => { pen.strokeStyle = colours[i]; pen.stroke(path); });
    canvas.dataset.segments = String(segments);
  }

  function scaleBar() {
    const decade = 10 ** Math.floor(Math.log10(140 / view.zoom));
    const mm = [5, 2, 1].map((s) => s * decade).find((s) => s * view.zoom <= 140);
    const [x, y] = [16, 22];
    pen.strokeStyle = pen.fillStyle = "#1c1f23";
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x, y); pen.lineTo(x + mm * view.zoom, y);
    pen.stroke();
    pen.font = "12.5px system-ui, sans-serif";
    pen.fillText(`${+mm.toPrecision(2)} mm`, x, y - 6);
  }

  function legend(q, top) {
    $("legend-name").textContent = `${q.name} / ${q.unit}`;
    $("legend-bar").style.background = `linear-gradient(90deg, ${data.colours.join(",")})`;
    $("legend-top").textContent = `≥ ${(top * q.scale).toPrecision(3)}`;
  }

  function readout(event) {
    const box = canvas.getBoundingClientRect(), l = layer(state.layer);
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1, nearest = 400; // px²
    for (let i = 0; i < drawn.xs.length; i++) {
      if (!state.travel && !l.printing[i]) continue;
      const d = (drawn.xs[i] - px) ** 2 + (drawn.ys[i] - py) ** 2;
      if (d < nearest) { nearest = d; best = i; }
    }
    const um = (v) => (1000 * v).toFixed(1).replace("-", "−");
    $("readout").textContent = best < 0 ? "" :
      `${l.t[best].toFixed(3)} s   x ${l.x[best].toFixed(2)} y ${l.y[best].toFixed(2)} mm   ` +
      `${l.speed[best].toFixed(0)} mm/s   true (${um(l.ex[best])}, ${um(l.ey[best])}) µm   ` +
      `predicted (${um(l.px[best])}, ${um(l.py[best])}) µm`;
  }

  // The address holds the state, so that a view can be sent to someone.
  function readAddress() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const index = Number(wanted.get("layer") ?? 1) - 1;
    state.layer = Math.min(Math.max(0, Number.isInteger(index) ? index : 0), data.layers.length - 1);
    state.quantity = wanted.get("show") in QUANTITIES ? wanted.get("show") : "error";
    const gain = Number(wanted.get("gain") ?? 0);
    state.gain = Number.isFinite(gain) ? Math.min(Math.max(0, gain), 200) : 0;
    state.travel = wanted.get("travel") === "1";
    $("layer").value = String(state.layer);
    $("gain").value = String(state.gain);
    $("travel").checked = state.travel;
    document.querySelector(`input[name=show][value=${state.quantity}]`).checked = true;
  }

  function changed() {
    state.layer = Number($("layer").value);
    state.quantity = document.querySelector("input[name=show]:checked").value;
    state.gain = Number($("gain").value);
    state.travel = $("travel").checked;
    const parts = { layer: state.layer + 1, show: state.quantity, gain: state.gain, travel: +state.travel };
    history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
    show();
  }

  function show() {
    $("layer-count").textContent = `${state.layer + 1} of ${data.layers.length}`;
    $("gain-value").textContent = state.gain ? `× ${state.gain}` : "off";
    draw();
  }

  function zoomAt(x, y, factor) {
    const [mx, my] = [(x - centreX()) / view.zoom, (centreY() - y) / view.zoom];
    view.x += mx * (1 - 1 / factor);
    view.y += my * (1 - 1 / factor);
    view.zoom *= factor;
    draw();
  }

  $("layer").max = String(data.layers.length - 1);
  $("layer").addEventListener("input", () => { view = null; changed(); });
  for (const input of document.querySelectorAll("input[name=show], #gain, #travel")) input.addEventListener("input", changed);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY / 400));
  }, { passive: false });
  canvas.addEventListener("dblclick", () => { view = null; draw(); });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) {
      view.x -= event.movementX / view.zoom;
      view.y += event.movementY / view.zoom;
      draw();
    } else readout(event);
  });
  window.addEventListener("resize", () => { view = null; draw(); });
  window.addEventListener("hashchange", () => { view = null; readAddress(); show(); });
  readAddress();
  show();
  document.documentElement.dataset.ready = "1";
})();
