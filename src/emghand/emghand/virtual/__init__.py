"""The whole graph in one process and in virtual time: nobody present, the same bits every time.

Protocol, activities, pipelines, training and recordings are those of the live graph; the person,
their muscles and the hand are simulated (`emghand.simulate`).
"""
