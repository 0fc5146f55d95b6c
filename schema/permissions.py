"""The @requires directive: seen in the SDL, enforced by a field extension, deny unless permitted."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.schema_directive import Location
from strawberry.types.field import StrawberryField

from schema.context import Context
from schema.enums import described
from schema.errors import ProblemsAsData
from schema.idempotency import KeepsAnswer
from schema.writes import Writes
from server.access.permissions import PERMISSION_TEXTS
from server.actor import Actor, Permission
from server.errors import Failure, Forbidden, Unauthenticated

described(Permission, "What can be allowed.", {member.name: text for member, text in PERMISSION_TEXTS.items()})


@strawberry.schema_directive(
    name="requires",
    locations=[Location.FIELD_DEFINITION],
    description="Who may read the field: holders of the permission and, with `orSelf`, the person the object is about. "
    "Others get the error FORBIDDEN or, with `orNull`, null.",
)
class Requires:
    permission: Permission = strawberry.directive_field(name="permission")
    or_self: bool | None = strawberry.directive_field(name="orSelf", default=strawberry.UNSET)
    or_null: bool | None = strawberry.directive_field(name="orNull", default=strawberry.UNSET)


@strawberry.schema_directive(
    name="authenticated",
    locations=[Location.FIELD_DEFINITION],
    description="Any signed-in caller may use the field, whatever the permissions.",
)
class Authenticated:
    pass


@strawberry.schema_directive(
    name="public",
    locations=[Location.FIELD_DEFINITION],
    description="Anyone may use the field, signed in or not.",
)
class Public:
    pass


def is_self(actor: Actor, source: Any) -> bool:
    """Whether the object is the caller, or belongs to the caller: what has a `user_id` is about that person."""
    if actor.user_id is None:
        return False
    subject = getattr(source, "user_id", getattr(source, "id", None))
    return subject == actor.user_id or subject == str(actor.user_id)  # light rows of a few columns have it as its text


class _Guard(FieldExtension):
    directive: Any
    gives_null = False

    def apply(self, field: StrawberryField) -> None:
        if self.directive not in field.directives:  # applied anew by each schema that is built from the type
            field.directives = [*field.directives, self.directive]

    def refusal(self, context: Context, source: Any) -> Failure | None:
        raise NotImplementedError

    def __passes__(self, info: Any) -> bool:
        """For execution.CompiledExecutor: whether this caller is let through, whatever the field's object is."""
        return self.refusal(info.context, None) is None

    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        refusal = self.refusal(info.context, source)
        if refusal is None:
            return next_(source, info, **kwargs)
        if self.gives_null:
            return None
        raise refusal

    async def resolve_async(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        refusal = self.refusal(info.context, source)
        if refusal is None:
            result = next_(source, info, **kwargs)
            return await result if inspect.isawaitable(result) else result
        if self.gives_null:
            return None
        if source is None:
            await info.context.audit_refusal(info.field_name, refusal.code)
        raise refusal


class requires(_Guard):  # noqa: N801 — reads as the directive that it is
    """`extensions=[requires(Permission.PLANNING_READ)]`: the guard of a field, as a caller of the API sees it."""

    def __init__(self, permission: Permission, *, or_self: bool = False, or_null: bool = False) -> None:
        self.permission = permission
        self.or_self = or_self
        self.gives_null = or_null
        self.directive = Requires(
            permission=permission, or_self=or_self or strawberry.UNSET, or_null=or_null or strawberry.UNSET
        )

    def __execution_once__(self, info: Any) -> bool:
        """For execution.CompiledExecutor: whether this caller's answer is the same for every row."""
        actor = info.context.actor
        return not self.or_self or (actor is not None and not actor.must_change_password and actor.can(self.permission))

    def refusal(self, context: Context, source: Any) -> Failure | None:
        actor = context.actor
        if actor is None:
            return _not_signed_in()
        if self.or_self and is_self(actor, source):
            return None
        if actor.must_change_password:
            return Forbidden("Change your password first (mutation passwordChange).")
        if actor.can(self.permission):
            return None
        return Forbidden(f"This needs the permission {self.permission.name} ({self.permission.value}).")


class signed_in(_Guard):  # noqa: N801
    """The guard of fields that every signed-in caller may use."""

    __execution_once__ = True

    def __init__(self) -> None:
        self.directive = Authenticated()

    def refusal(self, context: Context, source: Any) -> Failure | None:  # noqa: ARG002 — the guard's interface
        return _not_signed_in() if context.actor is None else None


class public(_Guard):  # noqa: N801
    """Marks the few fields that need no caller, so that the SDL shows it and no field is bare by accident."""

    def __init__(self) -> None:
        self.directive = Public()

    def refusal(self, context: Context, source: Any) -> Failure | None:  # noqa: ARG002
        return None


def _not_signed_in() -> Unauthenticated:
    return Unauthenticated("Sign in first: send an access token as `Authorization: Bearer ...`.")


F = TypeVar("F", bound=Callable[..., Any])


def mutation(permission: Permission, *, description: str, keeps_answer: bool = True) -> Callable[[F], Any]:
    """A guarded mutation field whose refusals are data in its payload, and which may be sent again under a key.

    Its input inherits Idempotent; not `keeps_answer`: the answer is a secret, or the service keeps it itself.
    """
    keeping = [KeepsAnswer()] if keeps_answer else []

    def wrap(resolver: F) -> Any:
        return strawberry.mutation(
            resolver, description=description, extensions=[*keeping, requires(permission), ProblemsAsData(), Writes()]
        )

    return wrap


def query(permission: Permission, *, description: str, **options: Any) -> Callable[[F], Any]:
    """A guarded query field."""

    def wrap(resolver: F) -> Any:
        return strawberry.field(resolver, description=description, extensions=[requires(permission)], **options)

    return wrap
