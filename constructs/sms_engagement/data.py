"""Where what holds data is made: inside its construct, or apart from everything that can be made again."""

from constructs import Construct


def place_of_data(construct: Construct, data_scope: Construct | None) -> Construct:
    """Return the scope of the resources that hold data.

    With a scope of its own, as a stack that holds nothing else, what can be made again is deployed, rolled
    back and deleted without ever touching data. Nothing that is made there refers to what uses it, so the
    stacks cannot depend on one another in a circle.

    Parameters
    ----------
    data_scope
        Where the construct's data goes, below the construct's id; inside the construct when None.

    Raises
    ------
    ValueError
        Something of that id is there already.
    """
    if data_scope is None:
        return construct
    name = construct.node.id
    if data_scope.node.try_find_child(name) is not None:
        raise ValueError(
            f"data_scope {data_scope.node.path} has something named {name!r} already, and the data of "
            f"{construct.node.path} would take that name; give the construct another id, or a data_scope of "
            f"its own"
        )
    return Construct(data_scope, name)
