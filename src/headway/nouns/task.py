"""What kind of thing is predicted. Everything that differs between kinds of target asks for it by this name.

===========  ==============================================  =====================================================
task         the label                                        the model's answer
===========  ==============================================  =====================================================
condition    0.0 or 1.0                                       the probability that the condition holds
category     position in ``classes``, as a float              a probability for each class
number       the number itself (a count, a sum, an amount)    the number that is expected
ranking      relevance, 0 or more, within a group             a score; only its order within the group has a meaning
===========  ==============================================  =====================================================
"""

from __future__ import annotations

from typing import Literal

__all__ = ["Task"]

Task = Literal["condition", "category", "number", "ranking"]
