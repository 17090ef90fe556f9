"""Keywords: what a number or pool answers to a word."""

from collections.abc import Mapping
from typing import Any, Final

from sms_local.carrier.account import Account
from sms_local.carrier.errors import ServiceError, conflict, not_found, quota_exceeded, validation_error
from sms_local.carrier.operations.listing import page
from sms_local.carrier.resources import MANDATORY_KEYWORDS, Keyword, PhoneNumber, Pool

_MAX_KEYWORDS: Final = 30


def put_keyword(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Set the answer to a keyword, kept in capitals since case does not matter.

    Of HELP and STOP the message can be changed and the action cannot.
    """
    owner = account.phone_number_or_pool(request["OriginationIdentity"])
    word = _normal(request["Keyword"])
    before = owner.settings.keywords.get(word)
    action = request.get("KeywordAction") or (before.action if before else "AUTOMATIC_RESPONSE")
    if word in MANDATORY_KEYWORDS and before is not None and action != before.action:
        raise _fixed("RESOURCE_MODIFICATION_NOT_ALLOWED", "The action of HELP and STOP is fixed.", word)
    if before is None and len(owner.settings.keywords) >= _MAX_KEYWORDS:
        reason = "KEYWORDS_PER_POOL" if isinstance(owner, Pool) else "KEYWORDS_PER_PHONE_NUMBER"
        raise quota_exceeded(reason, "The origination identity has all the keywords it may have.")
    keyword = owner.settings.keywords[word] = Keyword(request["KeywordMessage"], action)
    return _names(owner) | _information(word, keyword)


def delete_keyword(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete a keyword, but for HELP and STOP."""
    owner = account.phone_number_or_pool(request["OriginationIdentity"])
    word = _normal(request["Keyword"])
    if word in MANDATORY_KEYWORDS:
        raise _fixed("RESOURCE_DELETION_NOT_ALLOWED", "HELP and STOP cannot be deleted.", word)
    if word not in owner.settings.keywords:
        raise not_found("keyword", word)
    return _names(owner) | _information(word, owner.settings.keywords.pop(word))


def describe_keywords(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List the keywords of a number or pool; `Keywords` asks for some, all of which have to be there."""
    owner = account.phone_number_or_pool(request["OriginationIdentity"])
    wanted = [_normal(word) for word in request.get("Keywords") or owner.settings.keywords]
    for word in wanted:
        if word not in owner.settings.keywords:
            raise not_found("keyword", word)
    keywords = (_information(word, owner.settings.keywords[word]) for word in wanted)
    return _names(owner) | page("Keywords", keywords, request)


def _normal(word: str) -> str:
    if word != word.strip():
        problem = "must not begin or end with a space"
        raise validation_error("INVALID_PARAMETER", f"Keyword {problem}", fields=[("Keyword", problem)])
    return word.upper()


def _fixed(reason: str, message: str, word: str) -> ServiceError:
    return conflict(reason, message, resource_type="keyword", resource_id=word)


def _information(word: str, keyword: Keyword) -> dict[str, Any]:
    return {"Keyword": word, "KeywordMessage": keyword.message, "KeywordAction": keyword.action}


def _names(owner: PhoneNumber | Pool) -> dict[str, Any]:
    return {"OriginationIdentityArn": owner.arn, "OriginationIdentity": owner.id}
