"""What the pipelines of the catalogue are made of: for every component its class, and its configuration in two sizes.

Data only. ``tiny`` is a few thousand weights, for tests. ``full`` is the public model's own size, where it is known;
what it does not name is the class's default in diffusers 0.42 or transformers 5. Each full size says its source; that
its bytes are those of the catalogue's card is tested. Token ids are the tokenizer's of random_weights.py, not the
models' own: an id changes no size and no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Size = Literal["tiny", "full"]
WIDTH = 16
"""Of tiny text encoders."""
VOCABULARY = 259
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


@dataclass(frozen=True)
class Part:
    """One component: ``kind`` is its class in diffusers or transformers, or "tokenizer"."""

    kind: str
    tiny: Mapping[str, Any] = field(default_factory=dict)
    full: Mapping[str, Any] | None = None
    """None: no full size is known here."""
    both: Mapping[str, Any] = field(default_factory=dict)
    """What both sizes have in common."""
    source: str = ""
    """Where the full size was read."""


@dataclass(frozen=True)
class Architecture:
    """A pipeline class: its parts, and the constructor's other arguments. None stands for a part that is left out."""

    parts: Mapping[str, Part]
    options: Mapping[str, bool | None] = field(default_factory=dict)

    def has(self, size: Size) -> bool:
        return size == "tiny" or all(part.full is not None for part in self.parts.values())


LANGUAGE = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
}
TWO_DOWN, TWO_UP = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
FOUR = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}
"""The usual VAE of Stable Diffusion and FLUX: ch 128, ch_mult 1 2 4 4, two residual blocks."""


def tokenizer(tiny: int = 64, full: int | None = None) -> Part:
    return Part("tokenizer", {"length": tiny}, None if full is None else {"length": full})


def clip(kind: str = "CLIPTextModel", full: Mapping[str, Any] | None = None, source: str = "") -> Part:
    tiny = {
        "vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": WIDTH, "projection_dim": WIDTH,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64,
    }  # fmt: skip
    return Part(kind, tiny, full, TOKENS, source)


def vae(channels: int, full: Mapping[str, Any] | None = None, source: str = "", **both: object) -> Part:
    tiny = {
        "block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1, "latent_channels": channels,
        "down_block_types": TWO_DOWN, "up_block_types": TWO_UP,
    }  # fmt: skip
    return Part("AutoencoderKL", tiny, None if full is None else FOUR | full, both, source)


def unet(context: int, full: Mapping[str, Any] | None = None, source: str = "", **more: object) -> Part:
    tiny = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "sample_size": 16, "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "cross_attention_dim": context,
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "attention_head_dim": 2, **more,
    }  # fmt: skip
    return Part("UNet2DConditionModel", tiny, full, {}, source)


def scheduler(kind: str, **settings: object) -> Part:
    """The same in both sizes: it has no weights."""
    return Part(kind, {}, {}, settings)


def flow(**settings: object) -> Part:
    return scheduler("FlowMatchEulerDiscreteScheduler", **settings)


QWEN3_4B = {
    "vocab_size": 151936, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "tie_word_embeddings": True,
}  # fmt: skip
QWEN3_SOURCE = "Qwen3-4B in litgpt/config.py of Lightning-AI/litgpt, which restates the config.json of Qwen/Qwen3-4B"

# Layers 9, 18 and 27 are read, so that the tiny one has more of them than it needs otherwise.
FLUX2_KLEIN = {
    "scheduler": flow(use_dynamic_shifting=True),
    "vae": Part(
        "AutoencoderKLFlux2",
        {
            "block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1, "latent_channels": 4,
            "down_block_types": TWO_DOWN, "up_block_types": TWO_UP,
        },
        {}, source="defaults of the class",
    ),
    "text_encoder": Part(
        "Qwen3ForCausalLM", LANGUAGE | {"num_hidden_layers": 28}, QWEN3_4B, TOKENS, source=QWEN3_SOURCE
    ),
    "tokenizer": tokenizer(512, 512),
    "transformer": Part(
        "Flux2Transformer2DModel",
        {
            "in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16,
            "num_attention_heads": 2, "joint_attention_dim": 3 * WIDTH, "axes_dims_rope": (4, 4, 4, 4),
            "timestep_guidance_channels": 16,
        },
        {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24, "joint_attention_dim": 3 * 2560},
        {"guidance_embeds": False},
        "Klein4BParams of black-forest-labs/flux2; what it has in common with FLUX.2 is the class's default",
    ),
}  # fmt: skip

Z_IMAGE = {
    "scheduler": flow(shift=3.0),
    "vae": vae(
        4, {"latent_channels": 16, "scaling_factor": 0.3611, "use_quant_conv": False, "use_post_quant_conv": False},
        "FLUX.1's: ae_params in flux/util.py of black-forest-labs/flux, which has no quant convolutions",
        shift_factor=0.1159,
    ),
    "text_encoder": Part("Qwen3Model", LANGUAGE, QWEN3_4B, TOKENS, source=QWEN3_SOURCE),
    "tokenizer": tokenizer(512, 512),
    "transformer": Part(
        "ZImageTransformer2DModel",
        {
            "in_channels": 4, "dim": 32, "n_layers": 1, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2,
            "cap_feat_dim": WIDTH, "axes_dims": [8, 4, 4], "axes_lens": [1024, 32, 32],
        },
        {}, source="defaults of the class",
    ),
}  # fmt: skip

STABILITY_2 = "configs/stable-diffusion/v2-inference.yaml of Stability-AI/stablediffusion"
STABLE_DIFFUSION_2 = {
    "vae": vae(4, {"latent_channels": 4}, STABILITY_2),
    "text_encoder": clip(
        full={"vocab_size": 49408, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23,
              "num_attention_heads": 16, "max_position_embeddings": 77, "projection_dim": 512, "hidden_act": "gelu"},
        source="OpenCLIP's ViT-H-14, the last but one of its 24 layers",
    ),
    "tokenizer": tokenizer(64, 77),
    "unet": unet(
        WIDTH,
        {
            "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2, "sample_size": 64,
            "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
            "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
            "attention_head_dim": (5, 10, 20, 20), "cross_attention_dim": 1024, "use_linear_projection": True,
        },
        STABILITY_2,
    ),
    "scheduler": scheduler("DDIMScheduler", steps_offset=1, clip_sample=False),
}  # fmt: skip

SGM = "configs/inference/sd_xl_base.yaml of Stability-AI/generative-models"
STABLE_DIFFUSION_XL = {
    "vae": vae(
        4, {"latent_channels": 4, "scaling_factor": 0.13025, "force_upcast": False},
        f"{SGM}; without its upcast, as the corrected one that the catalogue takes",
    ),
    "text_encoder": clip(
        full={"vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
              "num_attention_heads": 12, "max_position_embeddings": 77, "projection_dim": 768},
        source="ViT-L-14.json of mlfoundations/open_clip",
    ),
    "text_encoder_2": clip(
        "CLIPTextModelWithProjection",
        {"vocab_size": 49408, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
         "num_attention_heads": 20, "max_position_embeddings": 77, "projection_dim": 1280, "hidden_act": "gelu"},
        "ViT-bigG-14.json of mlfoundations/open_clip",
    ),
    "tokenizer": tokenizer(64, 77),
    "tokenizer_2": tokenizer(64, 77),
    "unet": unet(
        2 * WIDTH,
        {
            "block_out_channels": (320, 640, 1280), "layers_per_block": 2, "sample_size": 128,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20), "cross_attention_dim": 2048,
            "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "use_linear_projection": True,
            "projection_class_embeddings_input_dim": 2816,
        },
        SGM,
        addition_embed_type="text_time", addition_time_embed_dim=8, use_linear_projection=True,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    ),
    "scheduler": scheduler("EulerDiscreteScheduler"),
}  # fmt: skip

DC_AE_BLOCKS = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
DC_AE_SCALES = ((), (), (), (5,), (5,), (5,))


def sana(noise: Part, **more: object) -> dict[str, Part]:
    """SANA 1.6B and its Sprint: the same parts, but for the transformer's inputs and the scheduler."""
    return {
        "transformer": Part(
            "SanaTransformer2DModel",
            {
                "in_channels": 4, "out_channels": 4, "num_layers": 1, "num_attention_heads": 2,
                "attention_head_dim": 4, "num_cross_attention_heads": 2, "cross_attention_head_dim": 4,
                "cross_attention_dim": 8, "caption_channels": WIDTH, "sample_size": 8,
            },
            {}, {"patch_size": 1, **more}, "defaults of the class; scripts/convert_sana_to_diffusers.py of diffusers",
        ),
        "vae": Part(
            "AutoencoderDC",
            {
                "latent_channels": 4, "attention_head_dim": 2, "encoder_block_types": ("ResBlock", "EfficientViTBlock"),
                "decoder_block_types": ("ResBlock", "EfficientViTBlock"), "encoder_block_out_channels": (8, 8),
                "decoder_block_out_channels": (8, 8), "encoder_qkv_multiscales": ((), (5,)),
                "decoder_qkv_multiscales": ((), (5,)), "encoder_layers_per_block": (1, 1),
                "decoder_layers_per_block": [1, 1],
            },
            {
                "latent_channels": 32, "encoder_block_types": DC_AE_BLOCKS, "decoder_block_types": DC_AE_BLOCKS,
                "encoder_layers_per_block": (2, 2, 2, 3, 3, 3), "decoder_layers_per_block": (3,) * 6,
                "encoder_qkv_multiscales": DC_AE_SCALES, "decoder_qkv_multiscales": DC_AE_SCALES,
            },
            {
                "scaling_factor": 0.41407, "downsample_block_type": "conv", "upsample_block_type": "interpolate",
                "decoder_norm_types": "rms_norm", "decoder_act_fns": "silu",
            },
            "dc-ae-f32c32-sana-1.0 in scripts/convert_dcae_to_diffusers.py of diffusers",
        ),
        "text_encoder": Part(
            "Gemma2Model", LANGUAGE | {"query_pre_attn_scalar": 8}, {}, TOKENS, "defaults of Gemma2Config: Gemma 2 2B"
        ),
        "tokenizer": tokenizer(300, 300),
        "scheduler": noise,
    }  # fmt: skip


ARCHITECTURES: dict[str, Architecture] = {
    "StableDiffusionPipeline": Architecture(
        STABLE_DIFFUSION_2,
        {"safety_checker": None, "feature_extractor": None, "image_encoder": None, "requires_safety_checker": False},
    ),
    "StableDiffusionXLPipeline": Architecture(STABLE_DIFFUSION_XL, {"feature_extractor": None, "image_encoder": None}),
    "ZImagePipeline": Architecture(Z_IMAGE),
    "Flux2KleinPipeline": Architecture(FLUX2_KLEIN),
    # The real one has a T5Gemma; diffusers adds its encoder's name to transformers, which does not last under pytest.
    "PRXPipeline": Architecture(
        {
            "transformer": Part(
                "PRXTransformer2DModel",
                {"in_channels": 4, "patch_size": 1, "context_in_dim": WIDTH, "hidden_size": 16, "mlp_ratio": 2.0,
                 "num_heads": 2, "depth": 1, "axes_dim": [4, 4]},
            ),
            "scheduler": flow(shift=3.0), "tokenizer": tokenizer(), "vae": vae(4, shift_factor=0.1),
            "text_encoder": Part("Gemma2Model", LANGUAGE | {"query_pre_attn_scalar": 8}, both=TOKENS),
        }
    ),
    "SanaPipeline": Architecture(
        sana(
            scheduler(
                "DPMSolverMultistepScheduler", prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
            )
        )
    ),
    "SanaSprintPipeline": Architecture(
        sana(scheduler("SCMScheduler"), guidance_embeds=True, qk_norm="rms_norm_across_heads")
    ),
    "FluxPipeline": Architecture(
        {
            "scheduler": flow(use_dynamic_shifting=True), "vae": vae(4, shift_factor=0.1), "tokenizer": tokenizer(),
            "text_encoder": clip(), "tokenizer_2": tokenizer(512),
            "text_encoder_2": Part(
                "T5EncoderModel",
                {"vocab_size": VOCABULARY, "d_model": WIDTH, "d_kv": 8, "d_ff": WIDTH, "num_layers": 1, "num_heads": 2,
                 "pad_token_id": 0},
            ),
            "transformer": Part(
                "FluxTransformer2DModel",
                {"in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16,
                 "num_attention_heads": 2, "joint_attention_dim": WIDTH, "pooled_projection_dim": WIDTH,
                 "axes_dims_rope": (4, 4, 8), "guidance_embeds": True},
            ),
        },
        {"feature_extractor": None, "image_encoder": None},
    ),
    "QwenImagePipeline": Architecture(
        {
            "scheduler": flow(use_dynamic_shifting=True), "tokenizer": tokenizer(1024),
            "vae": Part(
                "AutoencoderKLQwenImage",
                {"base_dim": 8, "z_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1,
                 "temperal_downsample": [False, True, True], "latents_mean": [0.0] * 4, "latents_std": [1.0] * 4},
            ),
            "transformer": Part(
                "QwenImageTransformer2DModel",
                {"patch_size": 2, "in_channels": 16, "out_channels": 4, "num_layers": 3, "attention_head_dim": 16,
                 "num_attention_heads": 2, "joint_attention_dim": WIDTH, "axes_dims_rope": (8, 4, 4)},
            ),
            "text_encoder": Part(
                "Qwen2_5_VLForConditionalGeneration",
                {
                    "text_config": {
                        **LANGUAGE, **TOKENS,
                        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
                    },
                    "vision_config": {
                        "depth": 1, "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_heads": 2,
                        "out_hidden_size": WIDTH,
                    },
                },
            ),
        }
    ),
}  # fmt: skip
