"""ColorVideoVDP for still pictures: how visible a difference is on a given display, in JOD.

Source: Mantiuk, Hanji, Ashraf, Asano and Chapiro 2024, "ColorVideoVDP: A visual difference predictor
for image, video and display distortions", ACM Transactions on Graphics 43(4), doi 10.1145/3658144;
all constants, and what the paper leaves open: the authors' package ``cvvdp`` 0.5.7.
"""
