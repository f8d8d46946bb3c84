"""The image nets that can be named: their builder, sizes, preprocessing, arguments, feature maps and blocks.

A table and nothing else: no TensorFlow here, so that a config's mistakes are told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from kerasft.errors import ConfigError

Preprocessing = Literal["tf", "torch", "caffe", "lite", "inside"]
STRIDES = (4, 8, 16, 32)
"""Of the feature maps that every net has, in pixels of the image a step."""
OUTPUT = ""
"""Stands for the net's last layer among its feature maps."""


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A number, or yes or no, that a net's builder takes besides what kerasft sets itself."""

    kind: type
    minimum: float = 0.0
    maximum: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """What nets of one design have in common.

    Attributes:
        preprocessing: `keras.applications`' mode, or "lite", or "inside" where the net does it itself.
        mark: a layer that tells the family's nets from others'; a regular expression for a whole name.
        feature_maps: stride → the layer whose output it is; the last one that the expression matches.
        block: finds a layer's block in its name: the first group that matched.
        arguments: by name.
        min_size_px: the smallest image side.
        fixed_size: whether a net must know its image's size when it is built.
        of_keras: whether `keras.applications` builds it; otherwise it is built here.
    """

    preprocessing: Preprocessing
    mark: str
    feature_maps: Mapping[int, str]
    block: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    min_size_px: int = 32
    fixed_size: bool = False
    of_keras: bool = True


@dataclass(frozen=True, kw_only=True)
class ImageArchitecture:
    """One net.

    Attributes:
        name: what `model.preset` says.
        builder: its function in `keras.applications`; of other nets the authors' name.
        family: what it shares with its kin.
        image_size_px: the side of the images it was trained on.
        parameters: how many numbers it holds without its head, at its default arguments.
    """

    name: str
    builder: str
    family: Family
    image_size_px: int = 224
    parameters: int


_ALPHA = Argument(kind=float, minimum=0.05, maximum=4.0)


def _maps(stride_4: str, stride_8: str, stride_16: str, stride_32: str = OUTPUT) -> dict[int, str]:
    return dict(zip(STRIDES, (stride_4, stride_8, stride_16, stride_32), strict=True))


_MOBILENET = Family(
    preprocessing="tf",
    mark="conv_pw_13_relu",
    feature_maps=_maps("conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu"),
    block=r"^conv_(?:dw|pw|pad)_(\d+)",
    arguments={"alpha": _ALPHA, "depth_multiplier": Argument(kind=int, minimum=1, maximum=8)},
)
_MOBILENET_V2 = Family(
    preprocessing="tf",
    mark="block_16_project",
    feature_maps=_maps("block_2_add", "block_5_add", "block_12_add"),
    block=r"^(?:block_(\d+)|(expanded_conv))_",
    arguments={"alpha": _ALPHA},
)
_V3_BLOCK = r"^(expanded_conv(?:_\d+)?)_"
_V3_ARGUMENTS = {"alpha": _ALPHA, "minimalistic": Argument(kind=bool)}
_MOBILENET_V3_LARGE = Family(
    preprocessing="inside",
    mark="expanded_conv_14_project",
    feature_maps=_maps("expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_11_add"),
    block=_V3_BLOCK,
    arguments=_V3_ARGUMENTS,
)
_MOBILENET_V3_SMALL = Family(
    preprocessing="inside",
    mark="expanded_conv_10_project",
    feature_maps=_maps("expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add"),
    block=_V3_BLOCK,
    arguments=_V3_ARGUMENTS,
)
EFFICIENTNET = Family(
    preprocessing="inside",
    mark="stem_conv_pad",
    feature_maps=_maps("block2._add", "block3._add", "block5._add"),
    block=r"^(block\d+[a-z])_",
)
EFFICIENTNET_LITE = Family(
    preprocessing="lite",
    mark="block1a_dwconv",  # the first EfficientNet has it too, and is looked for before
    feature_maps=EFFICIENTNET.feature_maps,
    block=EFFICIENTNET.block,
    of_keras=False,
)
LITE_SCALES = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
    "efficientnet_lite3": (1.2, 1.4),
    "efficientnet_lite4": (1.4, 1.8),
}
"""By how much each EfficientNet-Lite is wider and deeper than the first."""
_EFFICIENTNET_V2 = Family(
    preprocessing="inside",
    mark="stem_activation",
    feature_maps=EFFICIENTNET.feature_maps,
    block=EFFICIENTNET.block,
)
_RESNET = Family(
    preprocessing="caffe",
    mark="conv5_block3_out",
    feature_maps=_maps(r"conv2_block\d+_out", r"conv3_block\d+_out", r"conv4_block\d+_out"),
    block=r"^(conv\d_block\d+)_",
)
# the last block of each stack goes down already: what it reads is the stack's feature map
_RESNET_V2 = Family(
    preprocessing="tf",
    mark="post_relu",
    feature_maps=_maps(*(rf"conv{stack}_block\d+_preact_relu" for stack in (2, 3, 4))),
    block=_RESNET.block,
)
# keras-hub's, which are not of the table
_HUB_RESNET = Family(
    preprocessing="tf",
    mark="stack3_block0_out",
    feature_maps=_maps(*(rf"stack{stack}_block\d+_out" for stack in (0, 1, 2))),
    block=r"^(stack\d+_block\d+)_",
)
CONVNEXT = Family(
    preprocessing="inside",
    mark=r"convnext_\w+_prestem_normalization",
    feature_maps=_maps("stage_0_output", "stage_1_output", "stage_2_output"),
    block=r"(stage_\d_block_\d+|downsampling_block_\d)",
)
_DENSENET = Family(
    preprocessing="torch",
    mark="pool4_conv",
    feature_maps=_maps("pool2_relu", "pool3_relu", "pool4_relu"),
    block=r"^(conv\d_block\d+|pool\d)_",
)
_XCEPTION = Family(
    preprocessing="tf",
    mark="block14_sepconv2_act",
    feature_maps=_maps("block3_sepconv2_bn", "block4_sepconv2_bn", "block13_sepconv2_bn"),
    block=r"^(block\d+)_",
    min_size_px=71,
)


def _nasnet(stage_2: int, stage_3: int, last: int) -> Family:
    return Family(
        preprocessing="tf",
        mark=f"normal_concat_{last}",
        feature_maps=_maps("reduction_concat_stem_1", f"normal_concat_{stage_2}", f"normal_concat_{stage_3}"),
        block=r"^(?:normal|reduction|adjust|separable)_.*?_((?:stem_|reduce_)?\d+)$",
        fixed_size=True,
    )


_NASNET_LARGE, _NASNET_MOBILE = _nasnet(5, 12, 18), _nasnet(3, 8, 12)


def _list(family: Family, *rows: tuple[str, str, int, int]) -> list[ImageArchitecture]:
    return [
        ImageArchitecture(
            name=name, builder=builder, family=family, image_size_px=size, parameters=parameters
        )
        for name, builder, size, parameters in rows
    ]


_ARCHITECTURES = [
    *_list(_MOBILENET, ("mobilenet", "MobileNet", 224, 3_228_864)),
    *_list(_MOBILENET_V2, ("mobilenet_v2", "MobileNetV2", 224, 2_257_984)),
    *_list(_MOBILENET_V3_SMALL, ("mobilenet_v3_small", "MobileNetV3Small", 224, 939_120)),
    *_list(_MOBILENET_V3_LARGE, ("mobilenet_v3_large", "MobileNetV3Large", 224, 2_996_352)),
    *_list(
        EFFICIENTNET,
        ("efficientnet_b0", "EfficientNetB0", 224, 4_049_571),
        ("efficientnet_b1", "EfficientNetB1", 240, 6_575_239),
        ("efficientnet_b2", "EfficientNetB2", 260, 7_768_569),
        ("efficientnet_b3", "EfficientNetB3", 300, 10_783_535),
        ("efficientnet_b4", "EfficientNetB4", 380, 17_673_823),
        ("efficientnet_b5", "EfficientNetB5", 456, 28_513_527),
        ("efficientnet_b6", "EfficientNetB6", 528, 40_960_143),
        ("efficientnet_b7", "EfficientNetB7", 600, 64_097_687),
    ),
    *_list(
        EFFICIENTNET_LITE,
        ("efficientnet_lite0", "EfficientNet-Lite0", 224, 3_413_024),
        ("efficientnet_lite1", "EfficientNet-Lite1", 240, 4_189_344),
        ("efficientnet_lite2", "EfficientNet-Lite2", 260, 4_869_168),
        ("efficientnet_lite3", "EfficientNet-Lite3", 280, 6_992_768),
        ("efficientnet_lite4", "EfficientNet-Lite4", 300, 11_837_936),
    ),
    *_list(
        _EFFICIENTNET_V2,
        ("efficientnet_v2_b0", "EfficientNetV2B0", 224, 5_919_312),
        ("efficientnet_v2_b1", "EfficientNetV2B1", 240, 6_931_124),
        ("efficientnet_v2_b2", "EfficientNetV2B2", 260, 8_769_374),
        ("efficientnet_v2_b3", "EfficientNetV2B3", 300, 12_930_622),
        ("efficientnet_v2_s", "EfficientNetV2S", 384, 20_331_360),
        ("efficientnet_v2_m", "EfficientNetV2M", 480, 53_150_388),
        ("efficientnet_v2_l", "EfficientNetV2L", 480, 117_746_848),
    ),
    *_list(
        _RESNET,
        ("resnet50", "ResNet50", 224, 23_587_712),
        ("resnet101", "ResNet101", 224, 42_658_176),
        ("resnet152", "ResNet152", 224, 58_370_944),
    ),
    *_list(
        _RESNET_V2,
        ("resnet50_v2", "ResNet50V2", 224, 23_564_800),
        ("resnet101_v2", "ResNet101V2", 224, 42_626_560),
        ("resnet152_v2", "ResNet152V2", 224, 58_331_648),
    ),
    *_list(
        CONVNEXT,
        ("convnext_tiny", "ConvNeXtTiny", 224, 27_820_128),
        ("convnext_small", "ConvNeXtSmall", 224, 49_454_688),
        ("convnext_base", "ConvNeXtBase", 224, 87_566_464),
        ("convnext_large", "ConvNeXtLarge", 224, 196_230_336),
        ("convnext_xlarge", "ConvNeXtXLarge", 224, 348_147_968),
    ),
    *_list(
        _DENSENET,
        ("densenet121", "DenseNet121", 224, 7_037_504),
        ("densenet169", "DenseNet169", 224, 12_642_880),
        ("densenet201", "DenseNet201", 224, 18_321_984),
    ),
    *_list(_XCEPTION, ("xception", "Xception", 299, 20_861_480)),
    *_list(_NASNET_MOBILE, ("nasnet_mobile", "NASNetMobile", 224, 4_269_716)),
    *_list(_NASNET_LARGE, ("nasnet_large", "NASNetLarge", 331, 84_887_922)),
]
IMAGE_ARCHITECTURES: dict[str, ImageArchitecture] = {each.name: each for each in _ARCHITECTURES}
"""Every net by its name."""
# large nets first: the small ones' marks are in them too
FAMILIES: tuple[Family, ...] = (
    _MOBILENET, _MOBILENET_V2, _MOBILENET_V3_LARGE, _MOBILENET_V3_SMALL, EFFICIENTNET, EFFICIENTNET_LITE,
    _EFFICIENTNET_V2, _RESNET_V2, _RESNET, _HUB_RESNET, CONVNEXT, _DENSENET, _XCEPTION, _NASNET_LARGE, _NASNET_MOBILE,
)  # fmt: skip
"""Every design, in the order in which a net's is looked for."""


def find_architecture(name: str) -> ImageArchitecture | None:
    """The net of that name; None where there is none."""
    return IMAGE_ARCHITECTURES.get(name)


def find_near_nets(name: str) -> list[str]:
    """Known nets whose names look like `name`, the nearest first; at most three."""
    wanted = name.lower().replace("-", "_")
    compact = {known.replace("_", ""): known for known in IMAGE_ARCHITECTURES}
    if wanted.replace("_", "") in compact:
        return [compact[wanted.replace("_", "")]]
    return get_close_matches(wanted, IMAGE_ARCHITECTURES, n=3, cutoff=0.6)


def check_arguments(architecture: ImageArchitecture, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the net's builder takes them.

    Args:
        architecture: the net.
        arguments: by name, as they stand in a config.

    Raises:
        ConfigError: the net takes no such argument, or not that value.
    """
    known = architecture.family.arguments
    checked = {}
    for name, value in arguments.items():
        where = f"model.arguments.{name}"
        if name not in known:
            raise ConfigError(
                f"{architecture.name} takes no such argument.", where=where, fix=_advise_argument(name, known)
            )
        checked[name] = _check_argument(known[name], value, where)
    return checked


def _advise_argument(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"It takes {', '.join(known)}." if known else "It takes none: remove model.arguments."


def _check_argument(argument: Argument, value: Any, where: str) -> Any:
    if argument.kind is bool:
        if isinstance(value, bool):
            return value
        wanted = "true or false"
    else:
        whole = argument.kind is int
        wanted = f"a {'whole ' if whole else ''}number from {argument.minimum:g} to {argument.maximum:g}"
        right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if right and argument.minimum <= value <= argument.maximum:
            return argument.kind(value)
    raise ConfigError(f"is {value!r}, not {wanted}.", where=where, fix=f"Write {wanted}.")
