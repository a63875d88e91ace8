# Releases a second by batch size, a line for each number of workers.
load folder."/common.gp"
set logscale x
set xtics (50, 500, "5,000" 5000)
set xrange [40:6500]
set yrange [0:*]
set xlabel "--batch-size" offset 0,0.3
set ylabel "thousands of releases a second"
stats data using 1:2 nooutput
plot for [i=0:STATS_blocks-1] data index i using 1:($2/1e3):($3/1e3):($4/1e3) with yerrorlines title columnheader(1)
