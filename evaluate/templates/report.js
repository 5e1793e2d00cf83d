"use strict";
(() => {
  const PAGE = 20;
  const data = JSON.parse(document.getElementById("data").textContent);
  const words = {
    en: {
      query: "Search", arm: "any arm", verdict: "any verdict", kind: "any kind", clear: "Show all", answer: "Answer",
      previous: "Previous", next: "Next", none: "declining is right", passages: "passages", empty: "(empty)", show: "Show answers",
      count: (n, all) => `${n.toLocaleString("en")} of ${all.toLocaleString("en")} questions`,
      part: (n, all) => `; the page holds ${n.toLocaleString("en")} of ${all.toLocaleString("en")}, answers.jsonl has all`,
      page: (n, all) => `${n} / ${all}`,
    },
    zh: {
      query: "搜索", arm: "全部组", verdict: "全部判定", kind: "全部题型", clear: "显示全部", answer: "答案",
      previous: "上一页", next: "下一页", none: "应拒答", passages: "段落", empty: "（空）", show: "查看回答",
      count: (n, all) => `${all} 题中的 ${n} 题`,
      part: (n, all) => `；本页含 ${all} 题中的 ${n} 题，全部见 answers.jsonl`,
      page: (n, all) => `${n} / ${all}`,
    },
  };
  const VERDICTS = ["correct", "wrong", "abstained", "unparsed"];
  const state = { language: "en", page: 0, fact: "" };
  const get = (id) => document.getElementById(id);
  const pick = (pair) => pair[state.language === "zh" ? 1 : 0];
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  let texts = null;
  const haystack = (index) => {
    texts ??= data.probes.map(([id, fact, , question, gold, given]) =>
      [id, fact, question, gold, ...given.map((one) => one[2])].join("\n").toLowerCase());
    return texts[index];
  };

  const matches = () => {
    const query = get("query").value.trim().toLowerCase();
    const [arm, verdict, kind] = ["arm", "verdict-filter", "kind"].map((id) => get(id).value);
    return data.probes.filter(([, fact, its, , , given], index) =>
      (!state.fact || fact === state.fact) && (!kind || its === kind) && (!query || haystack(index).includes(query)) &&
      ((!arm && !verdict) || given.some((one) => (!arm || one[0] === +arm) && (!verdict || one[1] === +verdict))));
  };

  const answer = ([arm, verdict, text, rule, chunks]) => {
    const row = make("div");
    row.append(make("dt", "", pick(data.arms[arm])), make("dd", `dot ${VERDICTS[verdict]}`, pick(data.verdicts[verdict])));
    const said = make("dd", "", text || words[state.language].empty);
    const shown = chunks.length ? `${words[state.language].passages} ${chunks.map((chunk) => data.chunks[chunk]).join(" ")}` : "";
    said.append(make("small", "", [data.rules[rule], shown].filter(Boolean).join(" · ")));
    row.append(said);
    return row;
  };

  const card = ([id, fact, kind, question, gold, given]) => {
    const item = make("li"), left = make("div"), right = make("dl", "given");
    const only = get("arm").value;
    left.append(make("p", "question", question), make("p", "gold", gold || words[state.language].none));
    left.append(make("p", "about", [pick(data.kinds[kind] ?? [kind, kind]), id, fact].filter(Boolean).join(" · ")));
    right.append(...given.filter((one) => !only || one[0] === +only).map(answer));
    item.append(left, right);
    return item;
  };

  const list = () => {
    const found = matches(), say = words[state.language];
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    get("list").replaceChildren(...found.slice(state.page * PAGE, (state.page + 1) * PAGE).map(card));
    const held = data.probes.length;
    get("count").textContent = say.count(found.length, held) + (held < data.all ? say.part(held, data.all) : "");
    get("page").textContent = say.page(state.page + 1, pages);
    get("previous").disabled = state.page === 0;
    get("next").disabled = state.page === pages - 1;
    get("clear").hidden = found.length === held;
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
    const box = get("fact-card"), button = make("button", "", words[state.language].show);
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
    box.replaceChildren(make("p", "", [statement || gold, title, id].filter(Boolean).join(" · ")), ...rates, button);
    slider.setAttribute("aria-valuetext", statement || gold || id);
  };

  const clear = () => {
    state.fact = "";
    state.page = 0;
    ["query", "arm", "verdict-filter", "kind"].forEach((id) => { get(id).value = ""; });
  };

  const speak = (language) => {
    state.language = language;
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.querySelectorAll("[data-lang]").forEach((one) => one.setAttribute("aria-pressed", one.dataset.lang === language));
    const say = words[language], kinds = [...new Set(data.probes.map((probe) => probe[2]))];
    get("query").placeholder = say.query;
    get("query").setAttribute("aria-label", say.query);
    options("arm", say.arm, data.arms.map((name, index) => [index, pick(name)]));
    options("verdict-filter", say.verdict, data.verdicts.map((name, index) => [index, pick(name)]));
    options("kind", say.kind, kinds.map((kind) => [kind, pick(data.kinds[kind] ?? [kind, kind])]));
    ["previous", "next", "clear"].forEach((id) => { get(id).textContent = say[id]; });
    fact();
    list();
  };

  const pages = (step) => {
    state.page += step;
    list();
    get("answers").scrollIntoView();
  };
  get("filters").addEventListener("submit", (event) => event.preventDefault());
  get("filters").addEventListener("input", () => { state.page = 0; list(); });
  get("previous").addEventListener("click", () => pages(-1));
  get("next").addEventListener("click", () => pages(1));
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
})();
