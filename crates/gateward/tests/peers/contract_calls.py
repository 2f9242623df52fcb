"""Calls a gateway as an OpenAPI document has it, and as it does not.

    contract_calls.py DOCUMENT URL OPERATIONS EXAMPLES

For OPERATIONS of the document, evenly spread, schemathesis makes EXAMPLES good and EXAMPLES bad requests each. Good ones
are to be answered with 200, bad ones with 4xx. Says as JSON how many there were, and which went wrong.
"""

import json
import sys
import warnings

import hypothesis
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from schemathesis import GenerationMode

warnings.filterwarnings("ignore")
DOCUMENT, URL, OPERATIONS, EXAMPLES = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
FORM = "application/x-www-form-urlencoded"
SESSION = requests.Session()
SAID = {"operations": 0, "good": 0, "bad": 0, "unmade": 0, "wrong": []}



def call(case, good):
    kind = (case.media_type or "").split(";")[0]
    # Bodies of other types are not read, and HEAD has no answer that would tell why.
    if case.method == "HEAD" or not (kind in ("", FORM) or kind == "application/json" or kind.endswith("+json")):
        return
    # How maps in forms are written is said by nobody.
    if kind == FORM and not (isinstance(case.body, dict) and not any(isinstance(v, (dict, list)) for v in case.body.values())):
        return
    try:
        answer = case.call(base_url=URL, session=SESSION, timeout=20, allow_redirects=False)
    except (requests.RequestException, ValueError, UnicodeError):
        # What no client can send.
        SAID["unmade"] += 1
        return
    if "problem:path_ambiguous" in answer.text:
        # Control characters in a path are refused before any contract is asked.
        SAID["unmade"] += 1
        return
    if not good and not answer.request.body and case.operation.body and not case.operation.body[0].is_required:
        # Wrong only for a body that it need not have.
        return
    SAID["good" if good else "bad"] += 1
    right = answer.status_code == 200 if good else 400 <= answer.status_code < 500
    if not right:
        request = answer.request
        told = request.body[:600].decode("utf-8", "replace") if isinstance(request.body, bytes) else request.body
        SAID["wrong"].append(
            {
                "good": good,
                "status": answer.status_code,
                "request": [request.method, request.url[:600], dict(request.headers), told],
                "answer": answer.text[:1000],
                "meta": str(getattr(case.meta, "components", ""))[:600],
            }
        )


def examples(operation, mode):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case):
        call(case, mode == GenerationMode.POSITIVE)

    try:
        run()
    except (hypothesis.errors.Unsatisfiable, hypothesis.errors.InvalidArgument, schemathesis.errors.SchemathesisError):
        # No values can be made, or none that are wrong.
        SAID["unmade"] += 1


def document():
    """The document, without what it says of who may call: a contract is not about that."""
    with open(DOCUMENT, encoding="utf-8") as file:
        read = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    read.pop("security", None)
    for item in read["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation.pop("security", None)
    return read


def main():
    schema = schemathesis.openapi.from_dict(document())
    operations = [found.ok() for found in schema.get_all_operations() if hasattr(found, "ok") and found.ok()]
    step = max(1, len(operations) // OPERATIONS)
    for operation in operations[::step][:OPERATIONS]:
        SAID["operations"] += 1
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            examples(operation, mode)
    print(json.dumps(SAID))


main()
