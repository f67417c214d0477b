"""Refusals: the vendor's catalogue of codes, and the envelope they travel in."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

INVALID = "generation_input_validation_failed"
"""The code of a body that cannot be, where no other code says it better."""

_FIX_INPUT = "Correct the request and send it again."
_ASSET = "Make the address publicly fetchable, or upload the file as an asset."
_CONVERT = "Convert the file to MP4 (H.264) or WAV and try again."
_PLAN = "Upgrade the plan."
_WAIT = "Wait and try again."
_SUPPORT = "Try again; write to support if it stays."

CATALOGUE: dict[str, tuple[str, str]] = {
    "generation_unsupported_model": ("The model is not supported.", _FIX_INPUT),
    "generation_input_validation_failed": ("The input is not valid.", _FIX_INPUT),
    "generation_input_video_inaccessible": ("The provided video URL is inaccessible.", _ASSET),
    "generation_input_audio_inaccessible": ("The provided audio URL is inaccessible.", _ASSET),
    "generation_input_image_inaccessible": ("The provided image URL is inaccessible.", _ASSET),
    "generation_input_video_invalid": ("The video cannot be read.", _CONVERT),
    "generation_input_audio_invalid": ("The audio cannot be read.", _CONVERT),
    "generation_input_image_invalid": ("The image cannot be read.", "Give a JPEG, PNG or WebP."),
    "generation_input_segments_invalid": ("The segments are not valid.", _FIX_INPUT),
    "generation_input_trim_invalid": ("The trim is not valid.", _FIX_INPUT),
    "generation_input_face_selection_invalid": ("The speaker selection is not valid.", _FIX_INPUT),
    "generation_input_resolution_unsupported": (
        "The video is larger than 4096x2160.", "Scale the video down.",
    ),
    "generation_input_duration_greater_than_max_duration": (
        "The input is too long.", "Give a shorter one.",
    ),
    "generation_model_duration_exceeded": ("The input is too long for this model.", _FIX_INPUT),
    "generation_input_asset_type_mismatch": ("The asset is of another type.", _FIX_INPUT),
    "generation_input_too_many_visual": ("More than one video or image was given.", _FIX_INPUT),
    "generation_input_dub_audio_conflict": ("Dubbing and audio exclude each other.", _FIX_INPUT),
    "generation_not_found": ("Generation not found", "Check the id."),
    "generation_conflict": ("The generation is not in a state for this.", _WAIT),
    "generation_not_deletable_while_processing": (
        "The generation is still being processed.", "Delete it when it has ended.",
    ),
    "invalid_generation_id": ("The generation id is not valid.", "Check the id."),
    "unsupported_generation_id_format": ("The generation id is not valid.", "Check the id."),
    "invalid_asset_id_format": ("The asset id is not valid.", "Check the id."),
    "asset_not_found": ("Asset not found", "Check the id."),
    "asset_forbidden": ("The asset belongs to another organization.", "Check the id."),
    "uploaded_file_not_found": ("The file was not uploaded.", "Upload it, then register it."),
    "file_not_in_org_storage": ("The file is not in your storage.", "Upload it first."),
    "generation_plan_duration_exceeded": ("The input is too long for your plan.", _PLAN),
    "free_tier_generations_exhausted": ("The free generations are used up.", _PLAN),
    "plan_feature_unavailable": ("Your plan does not include this.", _PLAN),
    "account_payment_required": ("An invoice is unpaid.", "Settle the invoice."),
    "account_on_hold": ("The account is on hold.", "Write to support."),
    "file_size_exceeds_plan_limit": ("The file is too large for your plan.", _PLAN),
    "cost_estimate_unavailable": ("The cost cannot be estimated.", _WAIT),
    "concurrency_limit_reached": ("Concurrency limit reached.", _WAIT),
    "rate_limit_exceeded": ("Rate limit exceeded. Please try again later.", _WAIT),
    "generation_pipeline_failed": ("The generation failed.", _SUPPORT),
    "generation_unknown_error": ("An unknown error occurred.", _SUPPORT),
    "generation_infra_storage_error": ("Storage failed.", _SUPPORT),
    "generation_infra_resource_exhausted": ("No capacity was left for this job.", _SUPPORT),
    "generation_infra_service_unavailable": ("A service is unavailable.", _SUPPORT),
    "generation_media_probe_timeout": ("Reading the media took too long.", _SUPPORT),
    "generation_media_probe_unavailable": ("The media cannot be read now.", _SUPPORT),
    "controller_timeout": ("The request took too long.", _SUPPORT),
    "controller_unavailable": ("The service is unavailable.", _SUPPORT),
    "controller_dependency_error": ("A service failed.", _SUPPORT),
    "internal_error": ("Internal server error", _SUPPORT),
    "usage_dependency_unavailable": ("Usage cannot be read now.", _SUPPORT),
    "elevenlabs_service_unavailable": ("The voice service is unavailable.", _SUPPORT),
    "INVALID_IDEMPOTENCY_KEY": (
        "Idempotency-Key must be sent once, with 1 to 128 of A-Z a-z 0-9 . _ ~ -", _FIX_INPUT,
    ),
    "IDEMPOTENCY_KEY_CONFLICT": (
        "The Idempotency-Key was used for other inputs.", "Use one key for each generation.",
    ),
    "IDEMPOTENCY_OUTCOME_UNKNOWN": (
        "It is not known whether the generation was created.", "Repeat it with the same key.",
    ),
}  # fmt: skip


class Refused(Exception):
    """A request that is answered with an error.

    ``message`` is the catalogue's unless given; ``extra`` is added to the envelope.
    """

    def __init__(
        self, status: int, code: str | None, message: str | list[str] | None = None, **extra: Any
    ) -> None:
        super().__init__(code or str(status))
        self.status, self.code, self.extra = status, code, extra
        known, self.suggestion = CATALOGUE.get(code or "", ("", ""))
        self.message = message or known or HTTPStatus(status).phrase

    @property
    def line(self) -> str:
        """The message in one line, as a FAILED job tells it."""
        return self.message if isinstance(self.message, str) else "; ".join(self.message)

    def envelope(self, *, is_old: bool) -> dict[str, Any]:
        """The body of the answer."""
        body: dict[str, Any] = {"statusCode": self.status}
        if self.code:
            body["error_code" if is_old else "errorCode"] = self.code
        body |= {"message": self.message, "error": HTTPStatus(self.status).phrase}
        # the 429 bodies carry no suggestion
        if self.suggestion and self.status != 429:
            body["suggestion"] = self.suggestion
        return body | self.extra


def unauthorized(*, has_key: bool) -> dict[str, Any]:
    """The two 401 bodies: for a key that is no good, and for none."""
    if has_key:
        return {"message": "Unauthorized", "statusCode": 401}
    return {
        "message": "Either Cookie or x-api-key header must be provided",
        "error": "Unauthorized",
        "statusCode": 401,
    }
