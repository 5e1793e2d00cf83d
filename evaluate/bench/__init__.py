"""Other people's harnesses: their public benchmarks asked of base and tuned, and kb's probes as tasks of theirs."""
