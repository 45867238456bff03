"""Monitoring: measures the same probe every few steps of a training, with alarms, and leaves the model unchanged."""

from rankscope.monitoring.alarms import Alarm, Alarms
from rankscope.monitoring.monitor import Monitor
from rankscope.monitoring.untouched import untouched

__all__ = ["Alarm", "Alarms", "Monitor", "untouched"]
