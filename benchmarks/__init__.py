"""What every figure in README.md and docs/ comes from: one bench a file, run by `python run.py bench NAME`.

A bench is a module with a docstring, `add_arguments(parser)` and `run(options, results)`; what benches share is in
harness/. It may import `sdc_pack`, the node pack, and any part of ComfyUI after `harness.comfy.start()`.
"""
