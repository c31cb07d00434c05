"""What a dataset holds, looked at closely: distributions of columns, movements of fixtures, rewards of tasks."""

from mbtransfer.survey.look import Look, look
from mbtransfer.survey.picture import draw

__all__ = ["Look", "draw", "look"]
