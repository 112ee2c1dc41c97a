"""What the fuzzer is not to do: revoke the token that it comes in with. All that
is behind it would be answered with 401."""

import os

import schemathesis

OWN = os.environ["FUZZ_API_TOKEN_ID"]

# Revoked in place of it; there is none of this id.
OTHER = "9000000"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Before each request, of every phase."""
    is_token = case.path.startswith("/api/v1/admin/tokens/{")
    if is_token and str((case.path_parameters or {}).get("id")) == OWN:
        case.path_parameters["id"] = OTHER
