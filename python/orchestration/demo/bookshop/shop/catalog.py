"""The books that the shop has."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Book:
    """A book on the shelf."""

    title: str
    author: str
    cents: int


BOOKS = (
    Book("Middlemarch", "George Eliot", 1290),
    Book("Silas Marner", "George Eliot", 790),
    Book("Walden", "Henry David Thoreau", 990),
)


def by_title(title: str) -> "Book | None":
    """The book of that title, if the shop has it."""
    return next((book for book in BOOKS if book.title == title), None)
