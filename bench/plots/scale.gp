# Microseconds a release as the number of pending reservations grows.
load folder."/common.gp"
set logscale x
set xtics ("10,000" 1e4, "100,000" 1e5, "1 million" 1e6, "10 million" 1e7)
set xrange [7000:1.4e7]
set yrange [0:*]
set xlabel "pending reservations" offset 0,0.3
set ylabel "microseconds a release"
stats data using 1:2 nooutput
plot for [i=0:STATS_blocks-1] data index i using 1:2:3:4 with yerrorlines title columnheader(1)
