"""Numbers in a sentence, as readers count them."""

import re


def numbers_in(text: str) -> list[str]:
    """The numbers of a sentence: not those of names such as ResNet-20, nor of 2…L."""
    return re.findall(r"(?<![\w.…-])[−×]?\d[\d.,]*(?:e-?\d+)?(?:/\d+)?(?!\w|…)", text)
