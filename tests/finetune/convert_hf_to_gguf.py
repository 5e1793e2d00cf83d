"""Stands in for llama.cpp's converter: its arguments, and a real file of a Qwen3 with a byte-level BPE.

The real one knows tokenizers by what they make of a text. Keys and types are those that it writes (September 2026).
"""

import argparse
import json
from pathlib import Path

import gguf
from safetensors.numpy import load_file
from tokenizers import Tokenizer

TYPES = {"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8}


def write_config(writer, config):
    """What is known of the model by its keys."""
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])


def write_tokenizer(writer, folder):
    """Tokens, merges, what is a control token, and the chat template."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    tokens = [tokenizer.id_to_token(one) for one in range(tokenizer.get_vocab_size())]
    control = tokenizer.get_added_tokens_decoder()
    named = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if one in control else gguf.TokenType.NORMAL for one in range(len(tokens))]
    )
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(tokens.index(named["eos_token"]))
    writer.add_pad_token_id(tokens.index(named["pad_token"]))
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))


def main():
    """Convert a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--outfile", type=Path, required=True)
    parser.add_argument("--outtype", choices=[*TYPES, "tq1_0", "tq2_0", "auto"], required=True)
    given = parser.parse_args()
    config = json.loads((given.model / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] != "qwen3":
        raise SystemExit(f"Model {config['model_type']} is not supported")
    writer = gguf.GGUFWriter(given.outfile, "qwen3")
    write_config(writer, config)
    write_tokenizer(writer, given.model)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config["num_hidden_layers"])
    for name, tensor in load_file(given.model / "model.safetensors").items():
        kind = gguf.GGMLQuantizationType(TYPES[given.outtype] if tensor.ndim > 1 else 0)
        made = gguf.quants.quantize(tensor, kind)
        writer.add_tensor(names.get_name(name, (".weight",)), made, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
