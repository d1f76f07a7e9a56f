"""How a gRPC call reaches a method: with faults before and after it, and its errors as statuses."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NoReturn, TypeAlias

import grpc
from google.protobuf.message import Message

from local.pubsub.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PubSubError,
    UnimplementedError,
)
from local.pubsub.faults import Faults, InjectedError
from local.pubsub.wire import Pb

Context: TypeAlias = "grpc.aio.ServicerContext[Pb, Pb]"
Unary: TypeAlias = Callable[[Pb], Awaitable[Pb]]
Stream: TypeAlias = Callable[[AsyncIterator[Pb], Context], Awaitable[None]]

_STATUS = {
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    UnimplementedError: grpc.StatusCode.UNIMPLEMENTED,
}


def unary(
    name: str, method: Unary, request: type[Message], response: type[Message], faults: Faults
) -> "grpc.RpcMethodHandler[Pb, Pb]":
    """A handler for a call with one request and one response, given as protobuf classes."""

    async def call(request: Pb, context: Context) -> Pb:
        fault = faults.take(name)
        try:
            if fault is not None and not fault.after:
                await fault.strike()
            answer = await method(request)
            if fault is not None and fault.after:
                await fault.strike()
        except (PubSubError, InjectedError) as error:
            await _abort(context, error)
        return answer

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )


def stream(
    name: str, method: Stream, request: type[Message], response: type[Message], faults: Faults
) -> "grpc.RpcMethodHandler[Pb, Pb]":
    """A handler for a call that streams both ways; a fault befalls its opening."""

    async def call(requests: AsyncIterator[Pb], context: Context) -> None:
        try:
            if fault := faults.take(name):
                await fault.strike()
            await method(requests, context)
        except (PubSubError, InjectedError) as error:
            await _abort(context, error)

    return grpc.stream_stream_rpc_method_handler(
        call,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )


async def _abort(context: Context, error: PubSubError | InjectedError) -> NoReturn:
    code = error.code if isinstance(error, InjectedError) else _STATUS[type(error)]
    await context.abort(code, str(error))
    raise AssertionError("abort raises")
