"""A module whose definition is wrong."""

import controlplane as dg


@dg.op(pool="white space")
def bad(): ...
