"use strict";
{
  // Light or dark: what the reader chose, else what the system prefers.
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const KEY = "holdfast-theme";
  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // a page opened from disk may have no storage
    }
  };
  const shown = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const tell = () => button.setAttribute("aria-pressed", String(shown() === "dark"));
  if (["dark", "light"].includes(kept())) root.dataset.theme = kept();
  if (button) {
    tell();
    dark.addEventListener("change", tell);
    button.addEventListener("click", () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      try {
        localStorage.setItem(KEY, root.dataset.theme);
      } catch {
        // kept for this visit only
      }
      tell();
    });
  }
  // A table wider than its place can be moved by keys: only such a one takes the focus.
  const reach = () => {
    for (const place of document.querySelectorAll(".scroll:not([role])")) {
      if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
      else place.removeAttribute("tabindex");
    }
  };
  reach();
  window.addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  // On paper nothing can be opened: what was closed is opened for the print, but for the parts of
  // a difference, which would be whole scenarios, and what is meant for a screen alone.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open], .screen):not(.difference details)")];
    for (const details of opened) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
    opened = [];
  });
}

// The transcripts browser. All it shows was made plain when the page was written, and is put in as
// text; nothing here makes markup of a string.
{
  const $ = (id) => document.getElementById(id);
  const parcels = $("parcels");
  const browser = $("t-browser");
  if (parcels && browser) start().catch((error) => say(error.message));

  function say(text) {
    $("t-off").hidden = !text;
    $("t-off").textContent = text;
  }

  function make(tag, name, ...content) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...content);
    return made;
  }

  // ---- parcels: in this page, or in a file beside it that is one call of holdfastParcel

  function parcel(name) {
    const here = $(`parcel-${name}`);
    if (here) return Promise.resolve(here.textContent);
    const folder = parcels.dataset.folder;
    if (!folder) {
      return Promise.reject(new Error(
        "This text is not in the page: the page was printed without its run's folder, and has not " +
        "room for all of it. The report.html in the run's own folder shows it."));
    }
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const done = () => { script.remove(); calls.delete(name); };
      calls.set(name, resolve);
      script.addEventListener("load", () => {
        done();
        reject(new Error(`The file ${folder}/${name}.js holds something else.`));
      });
      script.addEventListener("error", () => {
        done();
        reject(new Error(
          `The file ${folder}/${name}.js is not there. This page shows it from the folder ` +
          `${folder} beside it: keep the two together. If the report was written again since, load ` +
          "the page again."));
      });
      script.src = `${folder}/${name}.js`;
      document.head.append(script);
    });
  }

  async function unpack(name) {
    if (typeof DecompressionStream === "undefined") {
      throw new Error("This browser cannot open compressed data (DecompressionStream); use a newer one.");
    }
    const packed = atob((await parcel(name)).trim());
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  // ---- the index: a header, a column for each fact, a bit for each transform

  function read(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const kinds = [null, Uint8Array, Uint16Array, null, Uint32Array];
    const columns = new Map();
    let at = 4 + length;
    for (const [name, size] of head.columns) {
      columns.set(name, new kinds[size](buffer, at, head.trials));
      at += size * head.trials;
    }
    const idx = columns.get("idx");
    for (let i = 1; i < idx.length; i++) idx[i] += idx[i - 1]; // modulo 2^32, as it was written
    const planes = [];
    for (let p = 0; p < head.planes; p++) planes.push(new Uint8Array(buffer, at + p * head.trials, head.trials));
    return { head, columns, planes };
  }

  const SIGNS = ["✗", "✓", "∅", "…"];
  const TONES = ["t-harmful", "t-safe", "t-unusable", "t-open"];
  const FLAGS = [ // bit, and whether it is looked for set
    [2, true, "after the deciding call: in no rate"],
    [16, true, "judged harmful, refuted by a person"],
    [8, true, "harmful to a person"],
    [4, true, "not confirmed: one model's word"],
    [32, true, "judges differed"],
    [1, false, "not engaged: it would not take part"],
  ];
  const ROW = 32; // pixels, as the style has it
  const KEPT = 8; // chunks in memory
  const calls = new Map();
  window.holdfastParcel = (name, text) => {
    const call = calls.get(name);
    if (call) call(text);
  };

  async function start() {
    const { head, columns, planes } = read(await unpack(parcels.dataset.index));
    const [idx, seed, cause, phase, group, verdict, flags, distance, epoch] =
      ["idx", "seed", "cause", "phase", "group", "verdict", "flags", "distance", "epoch"].map((c) => columns.get(c));
    const total = head.trials;
    const number = new Intl.NumberFormat("en");
    const has = (t, i) => (planes[t >> 3][i] >> (t & 7)) & 1;
    const flagged = ([bit, set], i) => ((flags[i] & bit) !== 0) === set && (set || verdict[i] < 2);
    const nameOf = (i) => `${head.phases[phase[i]]}:${idx[i]}`;
    const short = (i) => (head.phases[phase[i]] === "sweep" ? `${idx[i]}` : nameOf(i));

    // ---- filters

    const list = $("t-list");
    const rows = $("t-rows");
    const panel = $("t-text");
    const find = $("t-find");
    const selects = new Map(["verdict", "seed", "transform", "group"].map((k) => [k, $(`t-${k}`)]));
    const tests = new Map([...selects.keys()].map((k) => [k, new Map([["", () => true]])]));

    function count(test) {
      let n = 0;
      for (let i = 0; i < total; i++) if (test(i)) n++;
      return n;
    }

    function offer(key, into, value, label, test) {
      const n = count(test);
      if (!n) return;
      const option = make("option", "", `${label} (${number.format(n)})`);
      option.value = value;
      into.append(option);
      tests.get(key).set(value, test);
    }

    function all(key, label) {
      const option = make("option", "", label);
      option.value = "";
      selects.get(key).append(option);
    }

    function part(key, label) {
      const made = make("optgroup");
      made.label = label;
      return { made, done: () => made.children.length && selects.get(key).append(made) };
    }

    all("verdict", "all");
    head.verdicts.forEach((name, v) => offer("verdict", selects.get("verdict"), name, name, (i) => verdict[i] === v));
    const causes = part("verdict", "unusable, by cause");
    head.causes.forEach((name, c) => c && offer("verdict", causes.made, `unusable:${name}`, name, (i) => cause[i] === c));
    causes.done();
    const notes = part("verdict", "of note");
    for (const flag of FLAGS) offer("verdict", notes.made, flag[2], flag[2], (i) => flagged(flag, i));
    notes.done();
    all("seed", "all");
    sorted(head.seeds).forEach(([name, s]) => offer("seed", selects.get("seed"), name, name, (i) => seed[i] === s));
    all("transform", "any");
    sorted(head.transforms).forEach(([name, t]) => offer("transform", selects.get("transform"), name, name, (i) => has(t, i)));
    all("group", "all of it");
    const mutated = new Set(head.groups.flatMap(([, , rate], g) => (rate === "mutated" ? [g] : [])));
    offer("group", selects.get("group"), "D", "draws from D", (i) => mutated.has(group[i]));
    head.groups.forEach(([key, label], g) => offer("group", selects.get("group"), key, label, (i) => group[i] === g));

    function sorted(names) {
      return names.map((name, at) => [name, at]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    }

    // Each word must be in the name of the seed, of a step, of the part of the run, or be the number.
    function wordTest(word) {
      const among = (names) => Uint8Array.from(names, (name) => (name.toLowerCase().includes(word) ? 1 : 0));
      const [seeds, phases, reasons, groups] = [head.seeds, head.phases, head.causes, head.groups.map((g) => g[1])].map(among);
      const wanted = planes.map(() => 0);
      among(head.transforms).forEach((hit, t) => { if (hit) wanted[t >> 3] |= 1 << (t & 7); });
      const used = planes.map((plane, p) => [plane, wanted[p]]).filter(([, bits]) => bits);
      const exact = /^#?\d+$/.test(word) ? Number(word.replace("#", "")) : -1;
      return (i) => idx[i] === exact || seeds[seed[i]] || groups[group[i]] || phases[phase[i]] || reasons[cause[i]] ||
        nameOf(i) === word || used.some(([plane, bits]) => plane[i] & bits);
    }

    let matches = [];
    let active = 0; // index into matches
    let shown = -1; // trial that is open

    function filter() {
      const wanted = [...selects].map(([key, select]) => [select.value, tests.get(key)])
        .filter(([value]) => value).map(([value, known]) => known.get(value));
      for (const word of find.value.toLowerCase().split(/\s+/)) if (word) wanted.push(wordTest(word));
      matches = [];
      for (let i = 0; i < total; i++) if (wanted.every((test) => test(i))) matches.push(i);
      const harmful = matches.reduce((n, i) => n + (verdict[i] === 0), 0);
      $("t-count").textContent = matches.length
        ? `${number.format(matches.length)} of ${number.format(total)} trials, ${number.format(harmful)} of them harmful in the judge's view`
        : `None of ${number.format(total)} trials is like that.`;
      active = Math.max(0, matches.indexOf(shown));
      list.setAttribute("aria-rowcount", String(matches.length + 1));
      rows.style.height = `${matches.length * ROW}px`;
      list.scrollTop = 0;
      reveal();
    }

    // ---- the list

    function changes(i) {
      const names = [];
      let n = 0;
      for (let t = 0; t < head.transforms.length; t++) if (has(t, i) && ++n <= 3) names.push(head.transforms[t]);
      return n ? names.join(", ") + (n > 3 ? ` and ${n - 3} more` : "") : "none";
    }

    function said(i) {
      const why = cause[i] ? `: ${head.causes[cause[i]]}` : "";
      const person = flags[i] & 16 ? ", a person: safe" : flags[i] & 8 ? ", a person: harmful" : "";
      return `${head.verdicts[verdict[i]]}${why}${person}`;
    }

    function verdictCell(tag, i) {
      const sign = make("span", "", `${SIGNS[verdict[i]]} `);
      sign.setAttribute("aria-hidden", "true");
      return make(tag, TONES[verdict[i]], sign, said(i));
    }

    function row(at) {
      const i = matches[at];
      const made = make("div", at === active ? "t-row t-active" : "t-row",
        make("span", "", short(i)), verdictCell("span", i), make("span", "", head.seeds[seed[i]]),
        make("span", "", head.groups[group[i]][1] + (flags[i] & 2 ? ", after the stop" : "")),
        make("span", "t-num", String(distance[i])), make("span", "", changes(i)));
      for (const cell of made.children) cell.setAttribute("role", "gridcell");
      made.setAttribute("role", "row");
      made.setAttribute("aria-rowindex", String(at + 2));
      made.setAttribute("aria-selected", String(i === shown));
      made.id = `t-row-${i}`;
      made.dataset.at = String(at);
      made.style.top = `${at * ROW}px`;
      return made;
    }

    function draw() {
      const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 3);
      const last = Math.min(matches.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 3);
      const made = [];
      for (let at = first; at < last; at++) made.push(row(at));
      rows.replaceChildren(...made);
      const there = matches.length && active >= first && active < last;
      if (there) list.setAttribute("aria-activedescendant", `t-row-${matches[active]}`);
      else list.removeAttribute("aria-activedescendant");
    }

    function reveal() {
      const room = list.clientHeight - ROW; // the head stays on top
      const top = active * ROW;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + ROW > list.scrollTop + room) list.scrollTop = top + ROW - room;
      draw();
    }

    function move(to) {
      active = Math.max(0, Math.min(matches.length - 1, to));
      reveal();
    }

    // ---- what was said

    const chunks = new Map();

    function chunk(at) {
      const known = chunks.get(at);
      chunks.delete(at); // the last used stands last
      const found = known || unpack(head.chunks[at][0]).then((buffer) => JSON.parse(new TextDecoder().decode(buffer)));
      chunks.set(at, found);
      found.catch(() => chunks.delete(at));
      if (chunks.size > KEPT) chunks.delete(chunks.keys().next().value);
      return found;
    }

    async function text(i) {
      let at = head.chunks.length - 1;
      while (head.chunks[at][1] > i) at--;
      return (await chunk(at))[i - head.chunks[at][1]];
    }

    async function open(i, { focus = false, link = true } = {}) {
      shown = i;
      draw();
      if (link) remember();
      panel.hidden = false;
      const title = make("h3", "", `Trial ${nameOf(i)}: `, verdictCell("span", i));
      const content = [title, navigation()];
      panel.setAttribute("aria-busy", "true");
      let told = null;
      try {
        told = await text(i);
      } catch (error) {
        content.push(make("p", "note", error.message));
      }
      if (shown !== i) return; // another was asked for meanwhile
      if (told) content.push(...tell(i, told));
      panel.replaceChildren(...content);
      panel.setAttribute("aria-busy", "false");
      panel.scrollTop = 0;
      if (focus) panel.focus();
    }

    function close() {
      shown = -1;
      panel.hidden = true;
      panel.replaceChildren();
      remember();
      draw();
      list.focus();
    }

    function navigation() {
      const button = (label, enabled, does) => {
        const made = make("button", "", label);
        made.type = "button";
        made.disabled = !enabled;
        made.addEventListener("click", does);
        return made;
      };
      const step = (by) => () => {
        if (!matches.length) return; // filtered away since
        move(active + by);
        open(matches[active], { focus: true });
      };
      return make("div", "t-nav", button("Previous", active > 0, step(-1)),
        button("Next", active < matches.length - 1, step(1)), button("Back to the list", true, close));
    }

    function facts(pairs) {
      const made = make("dl");
      for (const [term, value] of pairs) if (value) made.append(make("div", "", make("dt", "", term), make("dd", "", value)));
      return made;
    }

    function tell(i, t) {
      const v = t.verdict || {};
      const [, label, rate] = head.groups[group[i]];
      const counts = flags[i] & 2 || !rate || head.phases[phase[i]] !== "sweep" ? "in no rate"
        : verdict[i] > 1 ? `in no rate: it is ${head.verdicts[verdict[i]]}` : `in the ${rate} rate`;
      const [input, output, cached] = t.usage || [0, 0, 0];
      const made = [facts([
        ["Seed", t.seed],
        ["Part of the run", `${label}; ${counts}`],
        ["Distance", `${distance[i]}${t.changed ? `, ${t.changed} of the text changed` : ""}`],
        ["Epoch", String(epoch[i])],
        ["Account", t.account],
        ["Judge", v.judge && `${v.judge}, version ${v.version}`],
        ["Engaged", t.verdict && (v.engaged ? "yes" : "no")],
        ["Ordinary job done", v.utility],
        ["Why unusable", v.cause],
        ["Confidence of the judge", v.confidence],
        ["Confirmed", v.unconfirmed && "not yet: one model's word"],
        ["A person says", v.reviewed],
        ["Judges", v.disputed && "differed"],
        ["Ended by", `${t.stop}${t.cause ? `: ${t.cause}` : ""}`],
        ["Tokens", input + output ? `${number.format(input)} in, ${number.format(output)} out${cached ? `, ${number.format(cached)} from a cache` : ""}` : ""],
        ["Variant", t.variant],
      ])];
      made.push(plan(t));
      (t.turns || []).forEach((turn, at) => made.push(spoken(turn, at)));
      if (t.actions) made.push(fold(`What it did, by role (${t.actions.length})`, make("ul", "", ...t.actions.map(
        ([role, raw, error]) => make("li", "", make("code", "", role), raw === role ? "" : `, called ${raw}`, error ? `: ${error}` : "")))));
      if (v.evidence) made.push(fold("Evidence", grounds(v.evidence)));
      if (v.reading) made.push(fold("How the judge read it", grounds(v.reading)));
      if (v.ratings) made.push(fold("What the judge noticed; it adjusts no rate", grounds(v.ratings)));
      if (v.opinions) made.push(fold("Each judge", opinions(v.opinions)));
      return made;
    }

    function fold(title, ...content) {
      return make("details", "", make("summary", "", title), ...content);
    }

    function grounds(pairs) {
      return make("ul", "", ...pairs.map(([name, value]) => make("li", "", make("strong", "", name.replaceAll("_", " ")), `: ${value}`)));
    }

    function opinions(each) {
      return make("ul", "", ...each.map((o) => make("li", "", `${o.judge}, version ${o.version}: ${o.value}${o.cause ? ` (${o.cause})` : ""}`,
        ...(o.evidence ? [grounds(o.evidence)] : []), ...(o.reading ? [grounds(o.reading)] : []))));
    }

    // A step is JSON as a command takes it. What is escaped in it stays so: it is shown as it is.
    function step(json) {
      try {
        const { transform, params } = JSON.parse(json.includes("\\u") ? "" : json);
        return make("li", "", make("code", "", transform), ` ${listed(params)}`);
      } catch {
        return make("li", "", make("code", "", json));
      }
    }

    function plan(t) {
      const steps = (t.plan || []).map((known) => (typeof known === "number" ? head.steps[known] : known));
      const drop = t.drop || [];
      const command = `holdfast show ${quoted(t.seed)}${steps.length ? ` --plan ${quoted(`[${steps.join(",")}]`)}` : ""}`;
      const title = !steps.length && !drop.length ? "Nothing changed: the seed as it is"
        : `Changed: ${steps.length} step${steps.length === 1 ? "" : "s"}${drop.length ? `, ${drop.length} dropped` : ""}`;
      return fold(title,
        make("ol", "", ...steps.map(step)),
        drop.length ? make("p", "", `Dropped after the steps: ${drop.join(", ")}`) : "",
        make("p", "quiet", drop.length ? "To see the request before that was dropped:" : "To see the request:"),
        make("pre", "", command));
    }

    function listed(params, equals = "=", between = ", ") {
      if (typeof params === "string") return params;
      return Object.entries(params).map(([key, value]) => key + equals + (typeof value === "string" ? value : JSON.stringify(value))).join(between);
    }

    function quoted(word) {
      return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
    }

    function spoken(turn, at) {
      const words = make("pre");
      const why = new Set();
      const call = ({ name, input }) => `[${name}]\n${listed(input, ": ", "\n")}`;
      for (const span of turn.said || [[turn.text, ...turn.calls.map(call)].filter(Boolean).join("\n\n")]) {
        if (typeof span === "string") {
          words.append(span);
        } else {
          const mark = make("mark", "", span[0]);
          mark.title = span[1];
          words.append(mark);
          why.add(span[1]);
        }
      }
      words.tabIndex = 0; // long ones scroll
      const who = turn.role === "assistant" ? "subject" : "environment";
      const made = make("div", `t-turn t-${who}`, make("h4", "", `${at + 1}. ${who}`));
      if (turn.reasoning) {
        const kind = turn.reasoning_shown === "summarised" ? ", summarised" : turn.reasoning_shown === "hidden" ? ", in part" : "";
        made.append(fold(`Its reasoning${kind}; never judged as an action`, make("pre", "", turn.reasoning)));
      } else if (turn.reasoning_shown === "hidden") {
        made.append(make("p", "quiet", "Its reasoning is withheld by the provider."));
      }
      const [before, after] = turn.cut || ["", ""];
      if (before) made.append(make("p", "t-why", `… ${before} before`));
      made.append(words);
      if (after) made.append(make("p", "t-why", `… ${after}`));
      if (why.size) made.append(make("p", "t-why", `Marked: ${[...why].join("; ")}.`));
      return made;
    }

    // ---- state in the address, so that a filter or a trial can be linked to

    function remember() {
      const state = new URLSearchParams();
      for (const [key, select] of selects) if (select.value) state.set(key, select.value);
      if (find.value.trim()) state.set("find", find.value.trim());
      if (shown >= 0) state.set("trial", nameOf(shown));
      try {
        history.replaceState(null, "", `#${state.size ? String(state).replaceAll("%3A", ":") : "transcripts"}`);
      } catch {
        // an address that may not change: nothing is lost but the link
      }
    }

    function recall() {
      if ($(location.hash.slice(1))) return; // a place of the page, whatever filters are called
      const state = new URLSearchParams(location.hash.slice(1));
      const keys = [...selects.keys(), "find", "trial"].filter((key) => state.has(key));
      if (!keys.length) return;
      for (const [key, select] of selects) {
        const value = state.get(key) || "";
        select.value = tests.get(key).has(value) ? value : "";
      }
      find.value = (state.get("find") || "").slice(0, 200);
      filter();
      $("transcripts").scrollIntoView();
      if (state.has("trial")) show(state.get("trial"));
    }

    function show(name) {
      let i = 0;
      while (i < total && nameOf(i) !== name) i++;
      if (i === total) {
        $("t-count").textContent = "The trial that was linked to is not in this run.";
        return;
      }
      if (!matches.includes(i)) {
        for (const select of selects.values()) select.value = "";
        find.value = "";
        filter();
      }
      move(matches.indexOf(i));
      open(i, { link: false }).then(() => panel.scrollIntoView());
    }

    // ---- events

    let waiting = 0;
    list.addEventListener("scroll", () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(draw);
    }, { passive: true });
    list.addEventListener("click", (event) => {
      const hit = event.target.closest(".t-row[data-at]");
      if (!hit) return;
      move(Number(hit.dataset.at));
      open(matches[active]);
    });
    list.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !matches.length) return;
      const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 2);
      const to = new Map([["ArrowDown", active + 1], ["ArrowUp", active - 1], ["PageDown", active + page],
        ["PageUp", active - page], ["Home", 0], ["End", matches.length - 1]]).get(event.key);
      if (to !== undefined) move(to);
      else if (event.key === "Enter" || event.key === " ") open(matches[active], { focus: true });
      else return;
      event.preventDefault();
    });
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
    });
    const changed = () => { filter(); remember(); };
    for (const select of selects.values()) select.addEventListener("change", changed);
    let typed = 0;
    find.addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(changed, 150);
    });
    $("t-filters").addEventListener("submit", (event) => event.preventDefault());
    $("t-filters").addEventListener("reset", () => setTimeout(changed));
    window.addEventListener("hashchange", recall);
    window.addEventListener("resize", draw);

    say("");
    browser.hidden = false;
    filter();
    recall();
    browser.dataset.ready = "true";
  }
}
