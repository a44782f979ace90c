"use strict";
// The pages work by addresses: what is under way is told by the server, so a reload loses nothing.

const one = (query, where = document) => where.querySelector(query);
const all = (query, where = document) => [...where.querySelectorAll(query)];
const HEADERS = { "X-Trajerr": "workbench" };
const POLL_MS = 1000;

async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, { ...options, headers: { ...HEADERS, ...(options.headers || {}) } });
  } catch {
    throw new Error("the workbench does not answer: is it still running in its terminal?");
  }
  const said = await answer.json().catch(() => ({ error: `${answer.status} ${answer.statusText}` }));
  if (!answer.ok) throw new Error(said.error || answer.statusText);
  return said;
}

const order = (address, content) => ask(address, {
  method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json" },
});

function send(file, place, tell) {
  // XMLHttpRequest, as fetch does not say how far an upload is.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/api/files?name=${encodeURIComponent(file.name)}${place}`);
    for (const [name, value] of Object.entries(HEADERS)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && tell(event.loaded / event.total);
    request.onerror = () => reject(new Error(`${file.name}: was not taken; is the workbench running?`));
    request.onload = () => {
      let said = {};
      try { said = JSON.parse(request.responseText); } catch { /* told below */ }
      if (request.status === 200) resolve(said.name);
      else reject(new Error(said.error || `${request.status} ${request.statusText}`));
    };
    request.send(file);
  });
}

// A screen: fields that come and go, files dropped, the command line as it would be.
function screen(form) {
  const kind = form.dataset.kind, said = one(".said", form), line = one(".line pre");
  const given = new URLSearchParams(location.search);
  for (const [name, value] of given) {
    const field = form.elements[name];
    if (field && (field.tagName !== "SELECT" || all("option", field).some((o) => o.value === value))) field.value = value;
  }
  const filled = () => Object.fromEntries(all("[name]", form).map((field) => [field.name, field.value]));
  let turn = 0;
  async function changed() {
    for (const field of all("[data-only]", form)) {
      const [name, values] = field.dataset.only.split("=");
      field.hidden = !values.split(" ").includes(form.elements[name].value);
    }
    const mine = ++turn;
    const now = filled();
    const address = new URLSearchParams(Object.entries(now).filter(([, value]) => value));
    history.replaceState(null, "", `${location.pathname}${String(address) && "?"}${address}`);
    try {
      const told = await ask(`/api/line?${new URLSearchParams({ kind, ...now })}`);
      if (mine === turn) line.textContent = told.lines.length ? told.lines.join("\n") : `# ${told.missing}`;
    } catch (error) {
      if (mine === turn) line.textContent = `# ${error.message}`;
    }
  }
  form.addEventListener("input", (event) => { if (event.target.type !== "file") { said.textContent = ""; changed(); } });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = one("button.main", form);
    button.disabled = true;
    said.textContent = "";
    try {
      location.href = `/work/${(await order("/api/work", { kind, form: filled() })).id}`;
    } catch (error) {
      said.textContent = error.message;
      button.disabled = false;
    }
  });
  for (const drop of all(".drop", form)) dropping(drop, changed, said);
  window.addEventListener("pageshow", () => { one("button.main", form).disabled = false; changed(); });
}

function dropping(drop, changed, said) {
  const select = one("select", drop), told = one(".dropped", drop), file = one("input[type=file]", drop);
  async function take(dropped) {
    said.textContent = "";
    try {
      const name = await send(dropped, "", (share) => { told.textContent = `${dropped.name}: ${Math.round(100 * share)} %`; });
      if (!all("option", select).some((o) => o.value === name)) select.add(new Option(name, name));
      select.value = name;
      told.textContent = `${dropped.name} is here`;
      changed();
    } catch (error) {
      told.textContent = "or drop it here";
      said.textContent = error.message;
    }
    file.value = "";
  }
  file.addEventListener("change", () => file.files.length && take(file.files[0]));
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
  drop.addEventListener("drop", (event) => event.dataTransfer.files.length && take(event.dataTransfer.files[0]));
}

function addingBundle(box) {
  const said = one(".said", box), name = one("#bundle-name", box), files = one("input[type=file]", box);
  files.addEventListener("change", async () => {
    const chosen = [...files.files].filter((file) => !file.name.startsWith("."));
    said.textContent = "";
    try {
      if (!chosen.some((file) => file.name === "bundle.json")) throw new Error("no bundle.json in that folder, expected a bundle as export writes it");
      const folder = name.value.trim() || (chosen[0].webkitRelativePath || "bundle").split("/")[0];
      for (const file of chosen) await send(file, `&bundle=${encodeURIComponent(folder)}`, () => {});
      const added = (await order("/api/bundles", { name: `bundles/${folder}` })).name;
      const select = one("select[name=bundle]");
      select.add(new Option(added, added));
      select.value = added;
      select.dispatchEvent(new Event("input", { bubbles: true }));
      box.open = false;
    } catch (error) {
      said.textContent = error.message;
    }
    files.value = "";
  });
}

// A piece of work: asked about every second until it ends.
function work(panel) {
  const id = panel.dataset.work, said = one(".said", panel), outcome = one(".outcome");
  const cancel = one("[data-do=cancel]", panel), resume = one("[data-do=resume]", panel), again = one("a.button", panel);
  let shown = null;
  async function look() {
    try {
      const now = await ask(`/api/work/${id}`);
      draw(now);
      said.textContent = "";
      if (now.open) setTimeout(look, POLL_MS);
    } catch (error) {
      said.textContent = error.message;
      setTimeout(look, 4 * POLL_MS);
    }
  }
  function draw(now) {
    const state = one(".state", panel);
    state.textContent = now.sentence;
    state.className = `state ${now.state}`;
    panel.dataset.state = now.state;
    document.title = document.title.replace(/^(… |✓ |✗ )?/, now.open ? "… " : now.state === "done" ? "✓ " : "✗ ");
    all(".steps li", panel).forEach((step, i) => {
      step.className = i < now.step ? "past" : i === now.step && now.open ? "now" : "";
    });
    const bar = one("progress", panel);
    bar.hidden = !now.open;
    if (now.share === null) bar.removeAttribute("value"); else bar.value = now.share;
    const passed = now.state === "runs" ? ` ${clock(Date.now() / 1000 - now.began)} so far` : "";
    const left = now.remaining_s === null ? "" : `, about ${clock(now.remaining_s)} to go`;
    one(".detail", panel).textContent = now.open ? [now.detail, passed + left].filter(Boolean).join(";") : "";
    cancel.hidden = !now.open;
    resume.hidden = now.open || now.state === "done";
    again.hidden = now.open;
    losses(one(".losses", panel), now.losses);
    const output = one(".output pre");
    const atEnd = output.scrollHeight - output.scrollTop - output.clientHeight < 20;
    output.textContent = now.output;
    if (atEnd) output.scrollTop = output.scrollHeight;
    if (now.outcome !== shown) { outcome.innerHTML = now.outcome; shown = now.outcome; }
  }
  for (const button of [cancel, resume]) {
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await order(`/api/work/${id}/${button.dataset.do}`, {});
        if (button === resume) look();
      } catch (error) {
        said.textContent = error.message;
      }
      button.disabled = false;
    });
  }
  look();
}

function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

function losses(figure, by) {
  const series = Object.entries(by || {}).filter(([, values]) => values.length);
  figure.hidden = !series.length;
  if (!series.length) return;
  const NAMES = { train: "shown", val: "checked" };
  const every = series.flatMap(([, values]) => values.filter((v) => v > 0));
  const low = Math.log(Math.min(...every)), high = Math.log(Math.max(...every)), span = high - low || 1;
  const longest = Math.max(2, ...series.map(([, values]) => values.length));
  const x = (i) => 56 + (i / (longest - 1)) * 500, y = (v) => 190 - ((Math.log(v) - low) / span) * 170;
  const parts = ['<path class="axis" d="M56 10V190H556"/>'];
  for (const value of [Math.exp(high), Math.exp(low)]) parts.push(`<text x="50" y="${y(value) + 4}" text-anchor="end">${value.toPrecision(2)}</text>`);
  parts.push(`<text x="56" y="208" text-anchor="middle">1</text><text x="556" y="208" text-anchor="middle">${longest}</text>`);
  for (const [name, values] of series) {
    const points = values.map((v, i) => `${x(i).toFixed(1)} ${y(Math.max(v, 1e-12)).toFixed(1)}`);
    const last = values.length - 1;
    parts.push(`<path class="${name}" d="M${points.join("L")}"/><circle class="${name}" cx="${x(last)}" cy="${y(Math.max(values[last], 1e-12))}" r="2.5"/>`);
    parts.push(`<text class="${name}" x="${x(last) + 8}" y="${y(values[last]) + (name === "val" ? 10 : -4)}">${NAMES[name]}</text>`);
  }
  one("svg", figure).innerHTML = parts.join("");
}

for (const form of all("form[data-kind]")) screen(form);
for (const box of all(".add-bundle")) addingBundle(box);
for (const panel of all("[data-work]")) work(panel);
for (const time of all("time[data-at]")) {
  const at = new Date(1000 * Number(time.dataset.at));
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
for (const button of all("[data-do=copy]")) {
  button.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(one("pre", button.parentElement).textContent); button.textContent = "Copied"; } catch { getSelection().selectAllChildren(one("pre", button.parentElement)); }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
