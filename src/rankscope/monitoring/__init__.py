"""Monitoring: the same probe measured at every few steps of a training, with alarms; the model stays as it was."""

from rankscope.monitoring.alarms import Alarm, Alarms
from rankscope.monitoring.monitor import Monitor
from rankscope.monitoring.untouched import untouched

__all__ = ["Alarm", "Alarms", "Monitor", "untouched"]
