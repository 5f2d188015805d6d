"""Names of the same layers in other libraries and here, one file a paper.

Here: `torchvision_paths(model)` and `timm_paths(model)`, lists of (module path in the peer's
state dict, module path in ours); a network without weights names a part that the other lacks.
Not here: where checkpoints lie and how they are read; that is the folder above.
"""
