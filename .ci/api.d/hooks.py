"""What schemathesis cannot know by itself: ids that exist, and what a reason has to do with a request."""

import zlib

import schemathesis

CHALLENGES = ["first-steps", "daily-missions", "weekly-hunt", "veteran-road", "explorer-pass", "events"]
GOALS = {
    "first-steps": ["first-login", "first-blood", "first-match", "first-win", "sharp-eye", "graduate"],
    "daily-missions": ["daily-login", "daily-win", "daily-headshot", "login-streak", "regular"],
    "weekly-hunt": ["weekly-kills", "weekly-headshots", "weekly-wins", "weekly-logins", "weekly-grand-hunt"],
    "veteran-road": ["kills-100", "wins-50", "matches-200", "logins-100"],
    "explorer-pass": ["pass-matches", "pass-kills", "pass-master"],
    "events": ["season-one-wins", "monthly-headshots", "friday-night", "double-trouble"],
}


# Names that a body may have beyond those described: ids that the path has, and the other spelling. Their
# values are checked, so making them up is not "an unknown field, which is skipped".
NOT_DESCRIBED = ["challengeId", "challenge_id", "goalId", "goal_id", "goal_ids", "is_active", "replace_existing",
                 "exclude_active"]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Two of three well-formed requests name a challenge and goals that exist."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or not case.path_parameters:
        return
    if isinstance(case.body, dict):
        for name in NOT_DESCRIBED:
            case.body.pop(name, None)
    drawn = zlib.crc32(repr((case.path_parameters, case.body)).encode())
    if drawn % 3 == 0:
        return
    challenge = CHALLENGES[drawn // 3 % len(CHALLENGES)]
    goals = GOALS[challenge]
    case.path_parameters["challenge_id"] = challenge
    if "goal_id" in case.path_parameters:
        case.path_parameters["goal_id"] = goals[drawn // 18 % len(goals)]
    if isinstance(case.body, dict) and isinstance(case.body.get("goalIds"), list):
        case.body["goalIds"] = goals[: 1 + drawn // 18 % len(goals)]


def reason(response):
    """The reason of a refusal."""
    try:
        return response.json()["details"][0]["reason"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None


@schemathesis.check
def well_formed_requests_are_not_invalid(ctx, response, case):
    """What the description allows is never answered INVALID_INPUT."""
    meta = case.meta
    if meta is not None and meta.generation.mode.is_positive and reason(response) == "INVALID_INPUT":
        raise AssertionError(f"the description allows what the server calls invalid: {response.text}")


@schemathesis.check
def only_a_hurried_caller_is_late(ctx, response, case):
    """504 answers those who set a deadline of their own."""
    if response.status_code == 504 and "grpc-timeout" not in {name.lower() for name in case.headers or {}}:
        raise AssertionError(f"504 without a deadline of the caller: {response.text}")


@schemathesis.check
def every_refusal_has_a_reason(ctx, response, case):
    """Wrong paths and methods included."""
    is_head = response.request.method == "HEAD"
    if response.status_code >= 400 and not is_head and not reason(response):
        raise AssertionError(f"{response.status_code} without a reason: {response.text[:500]}")
