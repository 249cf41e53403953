from tests.databases import copied

__all__ = ["copied"]
