"""What a session can be asked to do: collect, test, tasks, control, calibration, jobs.

An activity is plain code that says what it waits for. Live, `session_node` lets it wait for the
clock and the topics of the graph; in a simulation virtual time passes (`emghand.virtual`).
"""
