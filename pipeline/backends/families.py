"""What differs between diffusers' pipeline classes: how a prompt becomes tensors, and how a preview is had.

One class a family, all stateless. A pipeline class without an entry runs too, with its prompt passed as text: then
encoding cannot be told apart from denoising and nothing is reused.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from pipeline.backends.previews import decode, own_decode, picture
from pipeline.reading import Reading, read
from pipeline.request import ImageRequest

Tensors = tuple[Any, ...]
"""What encoding gives; None where a pipeline has nothing to say, such as a mask of ones."""


class Family:
    """The common case: one tensor a text, ``prompt_embeds`` in the call, latents (1, C, H, W) for the VAE."""

    given: tuple[str, ...] = ("prompt_embeds",)
    """Names of the call's arguments for what ``encode`` returns; the negative ones have "negative_" before them."""
    guidance = "guidance_scale"
    """The call's argument that a request's guidance goes to."""

    def encode(self, pipe: Any, text: str, negative: bool = False, call: Mapping[str, Any] | None = None) -> Tensors:
        """The tensors of one text. ``call``: further arguments of the pipeline call, some of which encoding takes too.

        Each text is encoded by itself, also where the pipeline would put prompt and negative prompt in one batch:
        so a text's embeddings never depend on its company, and both lanes can share them.
        """
        return pipe.encode_prompt(text, **self.options(pipe, call or {}))[:1]

    def options(self, pipe: Any, call: Mapping[str, Any]) -> dict[str, Any]:
        """What the pipeline's own call would hand on to its encoder: its defaults, unless the card says otherwise."""
        takes, has = (inspect.signature(method).parameters for method in (pipe.encode_prompt, pipe.__call__))
        shared = (takes.keys() & has.keys() & ENCODING) - {"device"}
        return {name: call.get(name, has[name].default) for name in shared}

    def reading(self, pipe: Any, text: str, call: Mapping[str, Any]) -> Reading:
        """How much of a prompt the model reads."""
        tokenizer = self.tokenizer(pipe)
        limit = self.options(pipe, call).get("max_sequence_length") or tokenizer.model_max_length
        return read(tokenizer, text, limit, self.before(pipe))

    def tokenizer(self, pipe: Any) -> Any:
        """Of the encoder that reads most of a prompt."""
        return pipe.tokenizer

    def before(self, pipe: Any) -> int:
        """Tokens that come before every prompt and count for the limit; what comes after is cut first."""
        return 0

    def arguments(self, positive: Tensors, negative: Tensors | None) -> dict[str, Any]:
        """The call's arguments for an encoded prompt and, with guidance, an encoded negative one."""
        found = {"prompt": None} | dict(zip(self.given, positive, strict=True))
        if negative is not None:
            found |= {f"negative_{name}": value for name, value in zip(self.given, negative, strict=True)}
        return found

    def settings(self, request: ImageRequest) -> dict[str, Any]:
        """The call's arguments that follow from the request in this family's own way."""
        return {self.guidance: request.guidance}

    def several(self, pipe: Any) -> contextlib.AbstractContextManager[None]:
        """What a call for several pictures at once needs round it."""
        return contextlib.nullcontext()

    def preview(self, pipe: Any, request: ImageRequest, clean: Any, tiny: Any | None = None) -> Image.Image | None:
        """A clean state as a small, rough picture. ``tiny``: a VAE for that, instead of the pipeline's own."""
        latents = self.unpacked(pipe, request, clean)
        if tiny is not None:
            return decode(tiny, latents)
        latents = self.for_vae(pipe, latents)
        return None if latents is None else own_decode(pipe, latents)

    def unpacked(self, pipe: Any, request: ImageRequest, latents: Any) -> Any:
        """Latents as a grid (1, C, H, W), which some families denoise in another shape."""
        return latents

    def for_vae(self, pipe: Any, latents: Any) -> Any | None:
        """Latents (1, C, H, W) as the VAE decodes them; None where this family shows no previews."""
        config = pipe.vae.config
        return latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)


ENCODING = {
    "max_sequence_length",
    "complex_human_instruction",
    "clean_caption",
    "text_encoder_out_layers",
    "tokenizer_max_length",
    "skip_text_cleaning",
}
"""Arguments that calls hand on to their encoders."""


class PRX(Family):
    """PRXPipeline: an attention mask beside the embeddings, an empty prompt as the unconditional branch."""

    given = ("prompt_embeds", "prompt_attention_mask")

    def encode(self, pipe: Any, text: str, negative: bool = False, call: Mapping[str, Any] | None = None) -> Tensors:
        return pipe.encode_prompt(text, do_classifier_free_guidance=False, **self.options(pipe, call or {}))[:2]

    @contextlib.contextmanager
    def several(self, pipe: Any) -> Iterator[None]:
        """With guidance diffusers 0.42 hands the network two times of the step, however many pictures there are, and
        fails above one. All are the same; one alone is spread over the batch by the network itself."""

        def one_for_all(module: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
            return args, {**kwargs, "timestep": kwargs["timestep"][:1]}

        hook = pipe.transformer.register_forward_pre_hook(one_for_all, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()


class PRXPixel(PRX):
    """PRXPixelPipeline: as PRX, but what it denoises are the pixels (1, 3, H, W)."""

    def reading(self, pipe: Any, text: str, call: Mapping[str, Any]) -> Reading:
        return read(pipe.tokenizer, text, pipe.config.prompt_max_tokens)

    def preview(self, pipe: Any, request: ImageRequest, clean: Any, tiny: Any | None = None) -> Image.Image:
        return picture(clean)


class StableDiffusion(Family):
    """StableDiffusionPipeline."""

    def encode(self, pipe: Any, text: str, negative: bool = False, call: Mapping[str, Any] | None = None) -> Tensors:
        return pipe.encode_prompt(text, pipe._execution_device, 1, False)[:1]


class StableDiffusionXL(Family):
    """StableDiffusionXLPipeline: two encoders, a pooled embedding, and zeros where no negative prompt is given."""

    given = ("prompt_embeds", "pooled_prompt_embeds")

    def encode(self, pipe: Any, text: str, negative: bool = False, call: Mapping[str, Any] | None = None) -> Tensors:
        if negative and not text and pipe.config.force_zeros_for_empty_prompt:
            return self.zeros(pipe)
        embeds, _, pooled, _ = pipe.encode_prompt(text, do_classifier_free_guidance=False)
        return embeds, pooled

    def zeros(self, pipe: Any) -> Tensors:
        """What the pipeline takes for an empty negative prompt, (1, tokens, channels) and (1, channels); no encoder is
        run for it, the larger of which has 32 layers."""
        import torch

        last = pipe.text_encoder_2
        kind = {"dtype": last.dtype, "device": pipe._execution_device}
        channels = pipe.text_encoder.config.hidden_size + last.config.hidden_size
        return (
            torch.zeros(1, pipe.tokenizer_2.model_max_length, channels, **kind),
            torch.zeros(1, last.config.projection_dim, **kind),
        )


class Flux(Family):
    """FluxPipeline: a pooled embedding, packed latents, guidance as an input of the network."""

    given = ("prompt_embeds", "pooled_prompt_embeds")

    def encode(self, pipe: Any, text: str, negative: bool = False, call: Mapping[str, Any] | None = None) -> Tensors:
        return pipe.encode_prompt(text, None, **self.options(pipe, call or {}))[:2]

    def tokenizer(self, pipe: Any) -> Any:
        return pipe.tokenizer_2

    def unpacked(self, pipe: Any, request: ImageRequest, latents: Any) -> Any:
        return pipe._unpack_latents(latents, request.height, request.width, pipe.vae_scale_factor)


class Chat(Family):
    """The encoder is a language model that is asked in its chat template, which counts for its limit."""

    thinking = False

    def before(self, pipe: Any) -> int:
        asked = [{"role": "user", "content": "PROMPT"}]
        written = pipe.tokenizer.apply_chat_template(
            asked, tokenize=False, add_generation_prompt=True, enable_thinking=self.thinking
        )
        return len(pipe.tokenizer(written.partition("PROMPT")[0]).input_ids)


class Flux2Klein(Chat):
    """Flux2KleinPipeline: packed latents in rows of patches, normalised by the VAE's batch norm."""

    def unpacked(self, pipe: Any, request: ImageRequest, latents: Any) -> Any:
        patch = pipe.vae_scale_factor * 2
        return latents.permute(0, 2, 1).unflatten(2, (request.height // patch, request.width // patch))

    def for_vae(self, pipe: Any, rows: Any) -> Any:
        norm = pipe.vae.bn
        deviation = (norm.running_var + pipe.vae.config.batch_norm_eps).sqrt().view(1, -1, 1, 1)
        return pipe._unpatchify_latents(rows * deviation.to(rows) + norm.running_mean.view(1, -1, 1, 1).to(rows))


class ZImage(Chat):
    """ZImagePipeline: embeddings of each text's own length, in lists."""

    thinking = True

    def encode(self, pipe: Any, text: str, negative: bool = False, call: Mapping[str, Any] | None = None) -> Tensors:
        embeds, _ = pipe.encode_prompt(text, do_classifier_free_guidance=False, **self.options(pipe, call or {}))
        return tuple(embeds)

    def arguments(self, positive: Tensors, negative: Tensors | None) -> dict[str, Any]:
        found = super().arguments(positive, negative)
        return {name: value if value is None else [value] for name, value in found.items()}


class Sana(Family):
    """SanaPipeline: the prompt comes with a long instruction to the language model, the negative prompt without."""

    given = ("prompt_embeds", "prompt_attention_mask")
    unguided: Mapping[str, Any] = {"do_classifier_free_guidance": False}

    def encode(self, pipe: Any, text: str, negative: bool = False, call: Mapping[str, Any] | None = None) -> Tensors:
        options = self.options(pipe, call or {}) | ({"complex_human_instruction": None} if negative else {})
        return pipe.encode_prompt(text, **self.unguided, **options)[:2]

    def reading(self, pipe: Any, text: str, call: Mapping[str, Any]) -> Reading:
        options = self.options(pipe, call)
        limit = options["max_sequence_length"]
        if options.get("complex_human_instruction"):  # room for both, less two for what begins and ends a text
            limit += len(pipe.tokenizer("").input_ids) - 2
        return read(pipe.tokenizer, text, limit)

    def arguments(self, positive: Tensors, negative: Tensors | None) -> dict[str, Any]:
        # The call's own default for the negative prompt is a text, which it refuses beside embeddings.
        return super().arguments(positive, negative) | ({} if negative is None else {"negative_prompt": None})


class SanaSprint(Sana):
    """SanaSprintPipeline: no unconditional branch, and its intermediate time only for two steps."""

    unguided: Mapping[str, Any] = {}

    def settings(self, request: ImageRequest) -> dict[str, Any]:
        return super().settings(request) | ({} if request.steps == 2 else {"intermediate_timesteps": None})

    def for_vae(self, pipe: Any, latents: Any) -> None:
        return None  # two steps: over before a preview would be seen


class QwenImage(Family):
    """QwenImagePipeline: a mask that is None where nothing is masked, and its own name for guidance."""

    given = ("prompt_embeds", "prompt_embeds_mask")
    guidance = "true_cfg_scale"

    def encode(self, pipe: Any, text: str, negative: bool = False, call: Mapping[str, Any] | None = None) -> Tensors:
        return pipe.encode_prompt(text, **self.options(pipe, call or {}))

    def before(self, pipe: Any) -> int:
        written = pipe.prompt_template_encode.partition("{}")[0]
        return len(pipe.tokenizer(written).input_ids) - pipe.prompt_template_encode_start_idx

    def for_vae(self, pipe: Any, latents: Any) -> None:
        return None  # its VAE is one for video, too slow to decode on the side


FAMILIES: dict[str, Family] = {
    "PRXPixelPipeline": PRXPixel(),
    "PRXPipeline": PRX(),
    "StableDiffusionPipeline": StableDiffusion(),
    "StableDiffusionXLPipeline": StableDiffusionXL(),
    "FluxPipeline": Flux(),
    "Flux2KleinPipeline": Flux2Klein(),
    "ZImagePipeline": ZImage(),
    "SanaPipeline": Sana(),
    "SanaSprintPipeline": SanaSprint(),
    "QwenImagePipeline": QwenImage(),
}
