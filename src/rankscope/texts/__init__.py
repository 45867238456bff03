"""Texts: the catalogue of data sets, local files and hub data sets, read into strings with ids."""

from rankscope.texts.catalogue import CATALOGUE, CatalogueEntry
from rankscope.texts.images import ImageSource, UnusableImageError, changed_image, open_image
from rankscope.texts.leaderboard import read_leaderboard
from rankscope.texts.loading import load_texts
from rankscope.texts.pairs import DRAWN_SCENES, Pair, PairFields, PairSet, load_pairs
from rankscope.texts.perturbations import changed_texts, reorder_tokens
from rankscope.texts.reference import DataReference, parse_data_reference
from rankscope.texts.responses import read_responses
from rankscope.texts.text import Message, SkippedText, Text
from rankscope.texts.text_set import TextSet
from rankscope.texts.tokens import Encoded, Encoder, SpecialTokens, check_chat_template, special_tokens_of

__all__ = [
    "CATALOGUE",
    "DRAWN_SCENES",
    "CatalogueEntry",
    "DataReference",
    "Encoded",
    "Encoder",
    "ImageSource",
    "Message",
    "Pair",
    "PairFields",
    "PairSet",
    "SkippedText",
    "SpecialTokens",
    "Text",
    "TextSet",
    "UnusableImageError",
    "changed_image",
    "changed_texts",
    "check_chat_template",
    "load_pairs",
    "load_texts",
    "open_image",
    "parse_data_reference",
    "read_leaderboard",
    "read_responses",
    "reorder_tokens",
    "special_tokens_of",
]
