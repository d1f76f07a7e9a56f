"""What the broker refuses, in the words of the gRPC status that the client will see."""


class PubSubError(Exception):
    """A request that the real service would refuse too."""


class NotFoundError(PubSubError):
    """The topic or the subscription does not exist."""


class AlreadyExistsError(PubSubError):
    """The name is taken."""


class InvalidArgumentError(PubSubError):
    """The request breaks a documented rule."""


class FailedPreconditionError(PubSubError):
    """The resource is not of the kind that this call needs."""


class UnimplementedError(PubSubError):
    """Pub/Sub can do this, this server cannot: said aloud rather than ignored."""
