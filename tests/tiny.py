"""Tiny random-weight checkpoints of every pipeline class in the catalogue, in the Hub's layout.

Each builder returns a diffusers pipeline of a few thousand weights; ``save`` writes it as the Hub would serve it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import diffusers
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

WIDTH = 16
CHAT = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}"


def tokenizer(length: int = 64) -> transformers.PreTrainedTokenizerFast:
    """One token a byte, so that any text has one."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<pad>", "<s>", "</s>", *alphabet]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=length
    )
    made.chat_template = CHAT
    return made


VOCABULARY = 259
LANGUAGE = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def clip(kind: type = transformers.CLIPTextModel) -> torch.nn.Module:
    config = transformers.CLIPTextConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=WIDTH, projection_dim=WIDTH, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return kind(config)


def vae(channels: int, **more: object) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1, latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **more,
    )  # fmt: skip


def flow(**more: object) -> diffusers.FlowMatchEulerDiscreteScheduler:
    return diffusers.FlowMatchEulerDiscreteScheduler(**more)


def unet(context: int, **more: object) -> diffusers.UNet2DConditionModel:
    return diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=16, norm_num_groups=4, cross_attention_dim=context,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2, **more,
    )  # fmt: skip


def stable_diffusion() -> diffusers.DiffusionPipeline:
    return diffusers.StableDiffusionPipeline(
        vae=vae(4), text_encoder=clip(), tokenizer=tokenizer(), unet=unet(WIDTH), feature_extractor=None,
        scheduler=diffusers.DDIMScheduler(), safety_checker=None,
        requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl() -> diffusers.DiffusionPipeline:
    network = unet(
        2 * WIDTH, addition_embed_type="text_time", addition_time_embed_dim=8, use_linear_projection=True,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )  # fmt: skip
    return diffusers.StableDiffusionXLPipeline(
        vae=vae(4), text_encoder=clip(), text_encoder_2=clip(transformers.CLIPTextModelWithProjection),
        tokenizer=tokenizer(), tokenizer_2=tokenizer(), unet=network, scheduler=diffusers.EulerDiscreteScheduler(),
    )  # fmt: skip


def z_image() -> diffusers.DiffusionPipeline:
    network = diffusers.ZImageTransformer2DModel(
        in_channels=4, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4], axes_lens=[1024, 32, 32],
    )  # fmt: skip
    for token in (network.x_pad_token, network.cap_pad_token):  # left as they lie in memory by the class itself
        torch.nn.init.normal_(token)
    return diffusers.ZImagePipeline(
        scheduler=flow(shift=3.0), vae=vae(4, shift_factor=0.1), tokenizer=tokenizer(512), transformer=network,
        text_encoder=transformers.Qwen3Model(transformers.Qwen3Config(**LANGUAGE)),
    )  # fmt: skip


def flux2_klein(is_distilled: bool = False) -> diffusers.DiffusionPipeline:
    network = diffusers.Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=3 * WIDTH, axes_dims_rope=(4, 4, 4, 4), timestep_guidance_channels=16,
        guidance_embeds=False,
    )  # fmt: skip
    decoder = diffusers.AutoencoderKLFlux2(
        block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    config = transformers.Qwen3Config(**LANGUAGE | {"num_hidden_layers": 28})  # layers 9, 18 and 27 are read
    return diffusers.Flux2KleinPipeline(
        scheduler=flow(use_dynamic_shifting=True), vae=decoder, text_encoder=transformers.Qwen3ForCausalLM(config),
        tokenizer=tokenizer(512), transformer=network, is_distilled=is_distilled,
    )  # fmt: skip


def prx() -> diffusers.DiffusionPipeline:
    network = diffusers.PRXTransformer2DModel(
        in_channels=4, patch_size=1, context_in_dim=WIDTH, hidden_size=16, mlp_ratio=2.0, num_heads=2, depth=1,
        axes_dim=[4, 4],
    )  # fmt: skip
    # The real one is a T5Gemma; diffusers adds its encoder's name to transformers, which does not last under pytest.
    language = transformers.Gemma2Model(transformers.Gemma2Config(**LANGUAGE, query_pre_attn_scalar=8))
    return diffusers.PRXPipeline(
        transformer=network, scheduler=flow(shift=3.0), tokenizer=tokenizer(), vae=vae(4, shift_factor=0.1),
        text_encoder=language, default_sample_size=32,
    )  # fmt: skip


def sana_parts(**more: object) -> dict[str, object]:
    network = diffusers.SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=WIDTH,
        sample_size=8, **more,
    )  # fmt: skip
    decoder = diffusers.AutoencoderDC(
        latent_channels=4, attention_head_dim=2, scaling_factor=0.41407,
        encoder_block_types=("ResBlock", "EfficientViTBlock"), decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)), encoder_layers_per_block=(1, 1), decoder_layers_per_block=[1, 1],
        downsample_block_type="conv", upsample_block_type="interpolate", decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
    )  # fmt: skip
    language = transformers.Gemma2Model(transformers.Gemma2Config(**LANGUAGE, query_pre_attn_scalar=8))
    return {"transformer": network, "vae": decoder, "text_encoder": language, "tokenizer": tokenizer(300)}


def sana() -> diffusers.DiffusionPipeline:
    scheduler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    return diffusers.SanaPipeline(**sana_parts(), scheduler=scheduler)


def sana_sprint() -> diffusers.DiffusionPipeline:
    parts = sana_parts(guidance_embeds=True, qk_norm="rms_norm_across_heads")
    return diffusers.SanaSprintPipeline(**parts, scheduler=diffusers.SCMScheduler())


def flux() -> diffusers.DiffusionPipeline:
    network = diffusers.FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    config = transformers.T5Config(
        vocab_size=VOCABULARY, d_model=WIDTH, d_kv=8, d_ff=WIDTH, num_layers=1, num_heads=2, pad_token_id=0
    )
    return diffusers.FluxPipeline(
        scheduler=flow(use_dynamic_shifting=True), vae=vae(4, shift_factor=0.1),
        tokenizer=tokenizer(), text_encoder=clip(), text_encoder_2=transformers.T5EncoderModel(config),
        tokenizer_2=tokenizer(512), transformer=network,
    )  # fmt: skip


def qwen_image() -> diffusers.DiffusionPipeline:
    network = diffusers.QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=3, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    decoder = diffusers.AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    text = {**LANGUAGE, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}}
    vision = {"depth": 1, "hidden_size": WIDTH, "intermediate_size": WIDTH, "num_heads": 2, "out_hidden_size": WIDTH}
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    return diffusers.QwenImagePipeline(
        scheduler=flow(use_dynamic_shifting=True), vae=decoder, tokenizer=tokenizer(1024), transformer=network,
        text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config),
    )  # fmt: skip


BUILDERS: dict[str, Callable[[], diffusers.DiffusionPipeline]] = {
    "StableDiffusionPipeline": stable_diffusion,
    "StableDiffusionXLPipeline": stable_diffusion_xl,
    "ZImagePipeline": z_image,
    "Flux2KleinPipeline": flux2_klein,
    "PRXPipeline": prx,
    "SanaPipeline": sana,
    "SanaSprintPipeline": sana_sprint,
    "FluxPipeline": flux,
    "QwenImagePipeline": qwen_image,
}


def save(pipeline: str, folder: Path, seed: int = 0) -> Path:
    """Write a checkpoint of this class; equal seeds give equal weights."""
    torch.manual_seed(seed)
    BUILDERS[pipeline]().save_pretrained(folder)
    return folder
