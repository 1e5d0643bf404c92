from toy_service import postgres_room, room

__all__ = ["postgres_room", "room"]
