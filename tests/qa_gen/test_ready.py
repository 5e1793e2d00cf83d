"""Ready configs for other trainers: what kb would train, in each tool's own names, and nothing cut or guessed."""

import json
from dataclasses import replace

import pytest
import yaml

from kb.errors import ModelUnavailable
from kb.llm.base import ModelConfig
from kb.llm.open import lab_folder
from kb.prompt import Prompts
from kb.qa_gen.ready import READY, llama_factory, template_name
from kb.qa_gen.ready import yaml as as_yaml
from kb.qa_gen.recipe import LONGEST, Recipe, Training, recipe
from kb.qa_gen.trainers import run

TRAINING = Training(
    seed=7, rank=64, alpha=128, learning_rate=2e-4, epochs=3.0, max_steps=0, batch_size=16, micro_batch=4, warmup=0.03,
    weight_decay=0.01, gradient_checkpointing=True, max_length=0, checkpoints=10, dpo_learning_rate=5e-6,
    dpo_epochs=1.0, dpo_beta=0.1, dpo_sft_weight=0.2,
)  # fmt: skip
QWEN = Recipe("Qwen/Qwen3-8B", "qwen3", "<|im_start|>{% if enable_thinking %}", 4096, True, TRAINING)


def read(name, text):
    """The values of a config."""
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


@pytest.mark.parametrize("tool", ["llama-factory", "ms-swift", "firefly", "trl", "deepspeed"])
@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_settings_of_train_stand_in_every_config(tool, stage):
    """Rank, batch, rates and lengths, as numbers; the rate of a stage is its own."""
    files = READY[tool](QWEN)
    name = next(name for name in files if name.startswith(stage))
    found = read(name, files[name])
    assert found.get("lora_rank", found.get("lora_r")) == 64
    assert found["lora_alpha"] == 128
    assert found["per_device_train_batch_size"] * found["gradient_accumulation_steps"] == 16
    assert found["learning_rate"] == (2e-4 if stage == "sft" else 5e-6)
    assert found["num_train_epochs"] == (3.0 if stage == "sft" else 1.0)
    assert found["seed"] == 7
    lengths = [found[key] for key in ("cutoff_len", "max_length", "max_seq_length") if key in found]
    assert lengths == [None if tool in ("trl", "deepspeed") else 4096]
    assert found["output_dir"] == f"../{tool}-output/{stage}"


@pytest.mark.parametrize("tool", [*READY])
def test_dpo_goes_on_from_sft_and_not_from_the_base(tool):
    """By the adapter with itself as the reference, or by the merged model where the tool would take the base."""
    dpo = next(text for name, text in READY[tool](QWEN).items() if name.startswith("dpo"))
    expected = {
        "llama-factory": ["ref_model_adapters: \"../llama-factory-output/sft\""],
        "ms-swift": ['"ref_adapters": [\n    "../ms-swift-output/sft/last"'],
        "unsloth": ["MODEL = '../unsloth-output/sft'"],
    }.get(tool, [f"../{tool}-output/sft-merged"])  # fmt: skip
    assert all(one in dpo for one in expected)


def test_a_small_number_stays_a_number():
    """YAML 1.1 reads 5e-06 as a text."""
    assert yaml.safe_load(as_yaml({"a": 5e-06, "b": 1.5e-05, "c": "5e-06", "d": None, "e": [True, "是"]})) == {
        "a": 5e-06, "b": 1.5e-05, "c": "5e-06", "d": None, "e": [True, "是"],
    }  # fmt: skip


def test_the_template_is_named_where_it_is_known_to_write_the_same():
    """Thinking off: an empty thought before the answer where the model has a thinking mode; else a comment asks."""
    sft = yaml.safe_load(llama_factory(QWEN)["sft.yaml"])
    assert (sft["template"], sft["enable_thinking"]) == ("qwen3", False)
    plain = replace(QWEN, chat_template="<|im_start|>")
    assert template_name(plain) == "qwen3_nothink"
    assert "enable_thinking" not in llama_factory(plain)["sft.yaml"]
    for unknown in (replace(QWEN, family="mistral"), replace(QWEN, chat_template="[INST]"), replace(QWEN, family="")):
        text = llama_factory(unknown)["sft.yaml"]
        assert text.startswith("# template: which one")
        assert "template" not in yaml.safe_load(text)


def test_without_4_bits_nothing_is_quantised():
    """Full-precision LoRA in every tool."""
    for tool, ready in READY.items():
        for name, text in ready(replace(QWEN, four_bit=False)).items():
            found = {} if name.endswith(".py") else read(name, text)
            assert not found.get("load_in_4bit"), tool
            assert not {"quantization_bit", "quant_bits", "bnb_4bit_quant_storage"} & found.keys(), tool
            assert found.get("train_mode", "lora") == "lora"


def test_scripts_are_python():
    """They compile, and say which file they are."""
    files = READY["unsloth"](QWEN) | READY["trl"](QWEN)
    scripts = [name for name in files if name.endswith(".py")]
    assert sorted(scripts) == ["dpo.py", "merge.py", "sft.py"]
    for name in scripts:
        compile(files[name], name, "exec")
        assert files[name].startswith(f'"""python {name}')


@pytest.mark.slow
def test_a_recipe_is_of_what_is_on_this_disk(tmp_path):
    """A folder is told by its files, a hub id that is not here by its name alone; a server is not trained."""
    found = recipe(ModelConfig(name="lab"), TRAINING)
    assert (found.model, found.family, found.context) == (str(lab_folder().resolve()), "qwen3", 2048)
    assert not found.thinks
    assert recipe(ModelConfig(name="lab"), replace(TRAINING, max_length=300)).context == 300
    far = recipe(ModelConfig(name="nobody/nothing"), TRAINING)
    assert (far.model, far.family, far.context) == ("nobody/nothing", "", LONGEST)
    assert recipe(ModelConfig(name="openai:x"), TRAINING) is None
    with pytest.raises(ModelUnavailable):
        recipe(ModelConfig(name=str(tmp_path / "no")), TRAINING)


@pytest.mark.slow
def test_configs_lie_beside_the_rows_and_the_readme_says_how(awkward, tmp_path):
    """Without preference rows there is no DPO; a form that is no trainer's has none."""
    out = tmp_path / "out"
    report = run(awkward, ["ms-swift", "alpaca"], out, Prompts(), recipe=QWEN)
    assert [one.configs for one in report.exports] == [("sft.json", "dpo.json"), ()]
    assert "  configs: sft.json, dpo.json" in report.lines()
    assert "- `swift rlhf dpo.json`" in (out / "ms-swift" / "README.md").read_text(encoding="utf-8")
    assert json.loads((out / "ms-swift" / "sft.json").read_text(encoding="utf-8"))["model"] == "Qwen/Qwen3-8B"
    awkward.store.sql("DELETE FROM preference_pairs")
    report = run(awkward, ["llama-factory"], out, Prompts(), recipe=replace(QWEN, family="x"))
    assert report.exports[0].configs == ("sft.yaml",)
    assert "fill in `template`" in report.lines()[-1]
    assert "dpo" not in (out / "llama-factory" / "README.md").read_text(encoding="utf-8").split("Ready")[1]


@pytest.mark.slow
def test_trl_reads_its_own(tmp_path, monkeypatch):
    """By the parsers of its command line, which stop at an unknown name."""
    from accelerate.commands.config.config_args import load_config_from_file
    from trl.scripts import dpo, sft

    monkeypatch.chdir(tmp_path)
    for name, text in READY["deepspeed"](QWEN).items():
        (tmp_path / name).write_text(text.replace("bf16: true", "bf16: false\nuse_cpu: true"), encoding="utf-8")
    for stage, rate in ((sft, 2e-4), (dpo, 5e-6)):
        file = f"{stage.__name__.rpartition('.')[2]}.yaml"
        parsed = stage.make_parser().parse_args_and_config(["--config", file], fail_with_unknown_args=True)
        script, arguments, model = parsed[:3]
        assert (arguments.learning_rate, arguments.max_length, arguments.warmup_steps) == (rate, None, 0.03)
        assert (model.lora_r, model.lora_target_modules, model.load_in_4bit) == (64, "all-linear", True)
        assert script.dataset_name == "../deepspeed"
    assert arguments.loss_weights == [1.0, 0.2]
    launch = load_config_from_file("accelerate-zero3.yaml")
    assert launch.deepspeed_config == {"deepspeed_config_file": "zero3.json", "zero3_init_flag": False}
