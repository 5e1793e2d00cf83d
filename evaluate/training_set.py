"""What `kb qa-report` said of the set that was trained and asked, for the reports of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kb.evaluate.results import Text
from kb.evaluate.wording import LANGUAGES, LEVELS, TAUGHT, TYPES, named
from kb.llm.known import KnownMix

Row = tuple[Text, Text]


def read_training_set(file: Path, known: Iterable[KnownMix] = ()) -> Mapping[str, Any]:
    """What the last `kb generate-qa` or `kb qa-report` wrote; empty where there is nothing yet.

    `known` is what is known of the models by now: `kb train` may have asked another one since.
    """
    if not file.exists():
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found | {"knownness": [asdict(mix) for mix in known]}


def rows(said: Mapping[str, Any]) -> list[Row]:
    """Label and value of everything worth a line; none where nothing was said."""
    return list(_rows(said)) if said else []


def _rows(said: Mapping[str, Any]) -> Iterator[Row]:
    kept, drafted = said["facts"], said["drafted"]
    yield Text("Facts", "事实"), Text(f"{kept} kept of {drafted} drafted", f"起草 {drafted} 个，保留 {kept} 个")
    whole, quality = said["coverage"]["whole"], said["quality"]
    share = f"{100 * whole['share']:.1f}%"
    yield (
        Text("Coverage", "覆盖率"),
        Text(
            f"{share} of the sentences and table rows ({whole['asked']} of {whole['units']}) are asked about",
            f"{share} 的句子和表格行有题目（{whole['units']} 处中的 {whole['asked']} 处）",
        ),
    )
    leakage = quality["leakage"]
    yield (
        Text("Leakage", "泄漏"),
        Text(
            f"{leakage['leaked']} of {leakage['probes']} held-out wordings are near a trained one"
            f" (nearest {leakage['most']:.2f} of 1)",
            f"{leakage['probes']} 个留出问法中有 {leakage['leaked']} 个接近训练问法"
            f"（最近 {leakage['most']:.2f}，满值 1）",
        ),
    )
    for language, found in quality.get("meaning", {}).items():
        name = named(LANGUAGES, language)
        yield Text(f"Leakage by embedding, {name.en}", f"向量泄漏，{name.zh}"), _nearness(found)
    repeated = _repeated(quality)
    yield (
        Text("Trained wordings", "训练问法"),
        Text(
            f"{quality['wordings']:.1f} a fact, alike by {quality['likeness']:.2f} of 1{repeated.en}",
            f"每个事实 {quality['wordings']:.1f} 个，相互相似度 {quality['likeness']:.2f}（满值 1）{repeated.zh}",
        ),
    )
    yield Text("Answer types", "答案类型"), _mix(quality["types"], TYPES)
    yield Text("Languages", "语言"), _mix(quality["languages"], LANGUAGES)
    if "taught" in quality:
        yield Text("Facts taught", "事实的训练方式"), _mix(quality["taught"], TAUGHT)
    for known in said.get("knownness", ()):
        mix, by = _mix({level: known[level] for level in LEVELS}, LEVELS), known["model"]
        yield (
            Text("Known before training", "训练前掌握"),
            Text(
                f"{mix.en} ({known['samples']} closed-book answers a fact, {by})",
                f"{mix.zh}（{by}，每个事实 {known['samples']} 次闭卷回答）",
            ),
        )
    yield Text("Faithfulness", "忠实度"), _faithfulness(said.get("faithfulness"), said.get("judged_other", False))


def _repeated(quality: Mapping[str, Any]) -> Text:
    """How many wordings are another one but for trifles; nothing in what an older kb wrote."""
    if "repeats" not in quality:
        return Text("", "")
    repeats, trained = quality["repeats"], quality["trained"]
    return Text(
        f"; {repeats} of {trained} repeat another one but for trifles",
        f"；{trained} 个中有 {repeats} 个与另一个只差细枝末节",
    )


def _nearness(found: Mapping[str, Any]) -> Text:
    """Held-out wordings beside the trained ones by what they mean, and how good the limit is."""
    limit = found["limit"]
    if limit is None:
        return Text("not measured: no embedder reads it", "未测量：没有能读该语言的嵌入模型")
    caught, false = (f"{100 * limit[key]['hits'] / limit[key]['of']:.1f}%" for key in ("caught", "false"))
    nearest, cosine, embedder = f"{found['most']:.2f}", f"{limit['cosine']:.3f}", limit["embedder"]
    if not limit["usable"]:
        return Text(
            f"cannot be told: {embedder} catches {caught} of trifling edits only (nearest {nearest})",
            f"无法判定：{embedder} 只能识别 {caught} 的细微改动（最近 {nearest}）",
        )
    return Text(
        f"{found['leaked']} of {found['probes']} held-out wordings are nearer than cosine {cosine} to a trained one"
        f" (nearest {nearest}); {embedder} catches {caught} of trifling edits so, and {false} of real rewordings",
        f"{found['probes']} 个留出问法中有 {found['leaked']} 个与训练问法的余弦高于 {cosine}（最近 {nearest}）；"
        f"{embedder} 由此识别 {caught} 的细微改动，误判 {false} 的真正改写",
    )


def _mix(counts: Mapping[str, int], names: dict[str, Text]) -> Text:
    pairs = [(named(names, key), count) for key, count in counts.items()]
    english = ", ".join(f"{name.en} {count}" for name, count in pairs)
    return Text(english, "，".join(f"{name.zh} {count}".replace("） ", "）") for name, count in pairs))


def _faithfulness(found: Mapping[str, Any] | None, other: bool) -> Text:
    """Sample, interval and how good the judge is; without the latter the former means nothing."""
    if not found and other:
        return Text("judged on another set, so not known of this one", "评判的是另一套题目，不适用于本套")
    if not found:
        return Text("not judged (kb qa-report --judge 200)", "未评判（kb qa-report --judge 200）")
    upheld, true, false = (found[key] for key in ("upheld", "sensitivity", "specificity"))
    low, high = (100 * end for end in upheld["interval"])
    share = f"{100 * upheld['value']:.1f}% [{low:.1f}, {high:.1f}]"
    return Text(
        f"{share} of {upheld['of']} sampled facts upheld; the judge upholds {100 * true['value']:.0f}% of what is true"
        f" and rejects {100 * false['value']:.0f}% of what is false",
        f"抽样 {upheld['of']} 个事实，{share} 得到确认；评判者确认真命题的 {100 * true['value']:.0f}%，"
        f"否定假命题的 {100 * false['value']:.0f}%",
    )
