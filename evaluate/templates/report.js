"use strict";
(() => {
  const BLOCK = 10;
  const data = JSON.parse(document.getElementById("data").textContent);
  const grouped = (n) => n.toLocaleString("en");
  const words = {
    en: {
      query: "Search", arm: "any arm", verdict: "any verdict", kind: "any kind", outcome: "any outcome", clear: "Show all",
      previous: "Previous", next: "Next", close: "Close", none: "declining is right", passages: (n) => n > 1 ? `${n} passages` : "1 passage", empty: "(empty)",
      show: "Show answers", apart: "arms disagree", only: (one, other) => `right: ${one}, not ${other}`,
      roles: { system: "system", user: "user", assistant: "assistant" }, source: "Where the fact stands",
      read: "Answers, and what was read for each", rows: (n) => `${grouped(n)} training rows in the set as it is now`,
      gone: (id) => `[${id}: the text is not on this page; kb show ${id}]`, chatless: "The chat is not on this page; prompts.jsonl has all.",
      count: (n, all) => `${grouped(n)} of ${grouped(all)} questions`,
      part: (n, all) => `; the page holds ${grouped(n)} of ${grouped(all)}, answers.jsonl has all`,
      place: (n, all) => `${grouped(n)} / ${grouped(all)}`,
    },
    zh: {
      query: "搜索", arm: "全部组", verdict: "全部判定", kind: "全部题型", outcome: "全部结果", clear: "显示全部",
      previous: "上一题", next: "下一题", close: "关闭", none: "应拒答", passages: (n) => `${n} 个段落`, empty: "（空）",
      show: "查看回答", apart: "各组判定不同", only: (one, other) => `${one}答对、${other}未答对`,
      roles: { system: "系统", user: "用户", assistant: "助手" }, source: "事实的出处",
      read: "各组回答及其所读内容", rows: (n) => `当前题集中有 ${n} 行训练数据`,
      gone: (id) => `[${id}：本页不含该段文字，请用 kb show ${id} 查看]`, chatless: "本页不含该提示，全部见 prompts.jsonl。",
      count: (n, all) => `${grouped(all)} 题中的 ${grouped(n)} 题`,
      part: (n, all) => `；本页含 ${grouped(all)} 题中的 ${grouped(n)} 题，全部见 answers.jsonl`,
      place: (n, all) => `${grouped(n)} / ${grouped(all)}`,
    },
  };
  const VERDICTS = ["correct", "wrong", "abstained", "unparsed"];
  const state = { language: "en", fact: "", found: [], open: 0 };
  const get = (id) => document.getElementById(id);
  const say = () => words[state.language];
  const pick = (pair) => pair[state.language === "zh" ? 1 : 0];
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // Text of documents and models, in whatever language and direction it is written: without its language, Han characters
  // may get the forms that they have in Japanese or Korean.
  const inText = (tag, name, ...parts) => {
    const element = make(tag, name);
    element.append(...parts);
    element.dir = "auto";
    element.lang = /\p{Script=Han}/u.test(element.textContent) ? "zh-CN" : "en";
    return element;
  };

  let texts = null;
  const haystack = (index) => {
    texts ??= data.probes.map(([id, fact, , question, gold, given]) =>
      [id, fact, question, gold, ...given.map((one) => one[2])].join("\n").toLowerCase());
    return texts[index];
  };

  // As soon as the page is at rest, so that the first letter of a search need not wait for it.
  (window.requestIdleCallback ?? setTimeout)(() => haystack(0));

  const outcomes = () => {
    const pairs = [["rag", "tuned"], ["base", "tuned"]].map((pair) => pair.map((name) => data.names.indexOf(name)));
    const both = pairs.filter(([one, other]) => one >= 0 && other >= 0).flatMap(([one, other]) => [[one, other], [other, one]]);
    const names = both.map(([one, other]) => [`${one},${other}`, say().only(pick(data.arms[one]), pick(data.arms[other]))]);
    return data.arms.length > 1 ? [...names, ["apart", say().apart]] : names;
  };

  const came = (given, outcome) => {
    if (outcome === "apart") return new Set(given.map((one) => one[1])).size > 1;
    const [one, other] = outcome.split(",").map((arm) => given.find((answer) => answer[0] === +arm));
    return Boolean(one && other) && one[1] === 0 && other[1] !== 0;
  };

  const matches = () => {
    const query = get("query").value.trim().toLowerCase();
    const [arm, verdict, kind, outcome] = ["arm", "verdict-filter", "kind", "outcome"].map((id) => get(id).value);
    return data.probes.filter(([, fact, its, , , given], index) =>
      (!state.fact || fact === state.fact) && (!kind || its === kind) && (!query || haystack(index).includes(query)) &&
      (!outcome || came(given, outcome)) &&
      ((!arm && !verdict) || given.some((one) => (!arm || one[0] === +arm) && (!verdict || one[1] === +verdict))));
  };

  const reading = ([, , , rule, chunks]) => [pick(data.rules[rule]), chunks.length && say().passages(chunks.length)].filter(Boolean).join(" · ");

  const answer = (one) => {
    const row = make("div"), [arm, verdict, text] = one;
    row.append(make("dt", "", pick(data.arms[arm])), make("dd", `dot ${VERDICTS[verdict]}`, pick(data.verdicts[verdict])));
    const said = make("dd");
    said.append(text ? inText("span", "", text) : say().empty, make("small", "", reading(one)));
    row.append(said);
    return row;
  };

  const about = (box, [id, fact, kind, , gold]) => {
    box.append(gold ? inText("p", "gold", gold) : make("p", "gold", say().none));
    box.append(make("p", "about", [pick(data.kinds[kind] ?? [kind, kind]), id, fact].filter(Boolean).join(" · ")));
  };

  const card = (probe, place) => {
    const item = make("li"), left = make("div"), right = make("dl", "given"), button = inText("button", "question", probe[3]);
    const only = get("arm").value;
    button.type = "button";
    button.addEventListener("click", () => open(place));
    left.append(button);
    about(left, probe);
    right.append(...probe[5].filter((one) => !only || one[0] === +only).map(answer));
    item.append(left, right);
    return item;
  };

  // Blocks far from the window are empty and as high as they were, or as high as those seen so far.
  const heights = { sum: 0, cards: 0 };
  const fill = (block) => {
    if (block.firstChild) return;
    const start = +block.dataset.start;
    block.replaceChildren(...state.found.slice(start, start + BLOCK).map((probe, place) => card(probe, start + place)));
    block.style.height = "";
  };
  const drain = (block, height) => {
    if (!block.firstChild || block.contains(document.activeElement)) return;
    heights.sum += height;
    heights.cards += block.children.length;
    block.style.height = `${height}px`;
    block.replaceChildren();
  };
  const near = new IntersectionObserver((seen) => seen.forEach(({ target, isIntersecting, boundingClientRect }) => {
    if (isIntersecting) fill(target);
    else drain(target, boundingClientRect.height);
  }), { rootMargin: "1200px 0px" });

  const list = () => {
    const found = state.found = matches(), blocks = [];
    const height = heights.cards ? heights.sum / heights.cards : 30 * data.arms.length + 30;
    near.disconnect();
    for (let start = 0; start < found.length; start += BLOCK) {
      const block = make("ol", "block");
      block.dataset.start = start;
      block.style.height = `${Math.min(BLOCK, found.length - start) * height}px`;
      blocks.push(block);
    }
    if (blocks.length) fill(blocks[0]);
    get("list").replaceChildren(...blocks);
    blocks.forEach((block) => near.observe(block));
    const held = data.probes.length;
    get("count").textContent = say().count(found.length, held) + (held < data.all ? say().part(held, data.all) : "");
    get("clear").hidden = found.length === held;
  };

  // A passage, with the evidence marked where it stands in it.
  const passage = (chunk, place) => {
    const [id, title, text] = data.chunks[chunk];
    if (text === undefined) return make("span", "passage", say().gone(id));
    const head = title ? [make("small", "", id), make("b", "", title), "\n"] : [];
    const [start, end] = place && place[0] === chunk ? place.slice(1) : [0, 0];
    const marked = end ? [make("mark", "", text.slice(start, end))] : [];
    return inText("span", "passage", ...head, text.slice(0, start), ...marked, text.slice(end));
  };

  const chat = (probe, one, place) => {
    if (one[5] < 0) return [make("p", "role", say().chatless)];
    return data.templates[one[5]].flatMap(([role, parts]) => {
      const box = inText("div", "said", ...parts.map((part) =>
        part === 0 ? probe[3] : typeof part === "number" ? passage(one[4][part - 1], place) : part));
      box.tabIndex = 0;
      return [make("p", "role", say().roles[role] ?? role), box];
    });
  };

  const read = (probe, place) => (one) => {
    const box = make("details", "read"), line = make("summary"), said = make("span");
    said.append(one[2] ? inText("span", "", one[2]) : say().empty, make("small", "", reading(one)));
    line.append(make("b", "", pick(data.arms[one[0]])), make("span", `dot ${VERDICTS[one[1]]}`, pick(data.verdicts[one[1]])), said);
    box.append(line);
    box.addEventListener("toggle", () => { if (box.children.length === 1) box.append(...chat(probe, one, place)); });
    return box;
  };

  const source = (found) => {
    const [, statement, , title, , rows, place] = found, box = make("div", "source");
    box.append(make("h4", "", say().source), inText("p", "gold", statement), inText("small", "", title));
    if (rows) box.append(make("small", "", say().rows(rows)));
    if (place) {
      const said = inText("div", "said", passage(place[0], place));
      said.tabIndex = 0;
      box.append(said);
    }
    return box;
  };

  const facts = new Map(data.facts.map((one) => [one[0], one]));
  const open = (place) => {
    const probe = state.found[place], dialog = get("sample"), sheet = get("sheet"), found = facts.get(probe[1]);
    const title = inText("h3", "", probe[3]);
    state.open = place;
    title.id = "asked";
    sheet.replaceChildren(title);
    about(sheet, probe);
    if (found) sheet.append(source(found));
    sheet.append(make("h4", "", say().read), ...probe[5].map(read(probe, found && found[6])));
    get("place").textContent = say().place(place + 1, state.found.length);
    get("previous").disabled = place === 0;
    get("next").disabled = place === state.found.length - 1;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    history.replaceState(null, "", `#${probe[0]}`);
  };

  const options = (id, first, pairs) => {
    const select = get(id), value = select.value;
    select.replaceChildren(new Option(first, ""), ...pairs.map(([key, name]) => new Option(name, key)));
    select.value = value;
    select.setAttribute("aria-label", first);
  };

  const fact = () => {
    const slider = get("fact");
    if (!slider) return;
    const index = +slider.value, [id, statement, gold, title, shares] = data.facts[index];
    const heat = document.querySelector(".heat"), gap = +heat.dataset.gap;
    let block = 0, seen = 0;
    const groups = heat.dataset.groups.split(",").map(Number);
    while (index >= seen + groups[block]) seen += groups[block++];
    const width = data.facts.length + gap * (groups.length - 1);
    get("cursor").style.left = `${(100 * (index + 0.5 + gap * block)) / width}%`;
    const box = get("fact-card"), button = make("button", "", say().show);
    button.type = "button";
    button.addEventListener("click", () => {
      clear();
      state.fact = id;
      list();
      get("answers").scrollIntoView();
    });
    const rates = shares.map((share, arm) => {
      const part = make("span", "", `${pick(data.arms[arm])} `);
      part.append(make("b", "", share === null ? "–" : `${Math.round(100 * share)}%`));
      return part;
    });
    box.replaceChildren(inText("p", "", [statement || gold, title, id].filter(Boolean).join(" · ")), ...rates, button);
    slider.setAttribute("aria-valuetext", statement || gold || id);
  };

  const clear = () => {
    state.fact = "";
    ["query", "arm", "verdict-filter", "kind", "outcome"].forEach((id) => { get(id).value = ""; });
  };

  const speak = (language) => {
    state.language = language;
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.querySelectorAll("[data-lang]").forEach((one) => one.setAttribute("aria-pressed", one.dataset.lang === language));
    const kinds = [...new Set(data.probes.map((probe) => probe[2]))];
    get("query").placeholder = say().query;
    get("query").setAttribute("aria-label", say().query);
    options("arm", say().arm, data.arms.map((name, index) => [index, pick(name)]));
    options("verdict-filter", say().verdict, data.verdicts.map((name, index) => [index, pick(name)]));
    options("kind", say().kind, kinds.map((kind) => [kind, pick(data.kinds[kind] ?? [kind, kind])]));
    options("outcome", say().outcome, outcomes());
    ["previous", "next", "close", "clear"].forEach((id) => { get(id).textContent = say()[id]; });
    fact();
    list();
  };

  get("filters").addEventListener("submit", (event) => event.preventDefault());
  get("filters").addEventListener("input", list);
  get("previous").addEventListener("click", () => open(state.open - 1));
  get("next").addEventListener("click", () => open(state.open + 1));
  get("close").addEventListener("click", () => get("sample").close());
  get("sample").addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
  get("sample").addEventListener("click", (event) => { if (event.target === get("sample")) get("sample").close(); });
  get("clear").addEventListener("click", () => { clear(); list(); });
  document.querySelectorAll("[data-lang]").forEach((one) => one.addEventListener("click", () => speak(one.dataset.lang)));
  const frame = document.querySelector(".heat-frame");
  if (frame) {
    get("fact").addEventListener("input", fact);
    const point = (event) => {
      const box = frame.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      get("fact").value = Math.min(data.facts.length - 1, Math.floor(share * data.facts.length));
      fact();
    };
    frame.addEventListener("pointerdown", point);
    frame.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse" || event.buttons) point(event); });
  }
  const wanted = new URLSearchParams(location.search).get("lang") ?? navigator.language ?? "en";
  speak(wanted.toLowerCase().startsWith("zh") ? "zh" : "en");
  const linked = data.probes.findIndex((probe) => location.hash === `#${probe[0]}`);
  if (linked >= 0) open(linked);
})();
