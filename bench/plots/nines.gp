# Lateness against the share of reservations, in nines: each step is ten times rarer.
# firsts, lasts: the first and the last block of each panel; titles: one for each.
load folder."/common.gp"
set logscale y
set ylabel "ms late"
set xlabel "share of reservations that are no later" offset 0,0.3
set xrange [0:4.1]
set yrange [0.2:*]
set xtics ("50 %%" 0.30103, "90 %%" 1, "99 %%" 2, "99.9 %%" 3, "99.99 %%" 4)
set multiplot layout 1,words(firsts)
do for [panel=1:words(firsts)] {
    set title word(titles, panel)
    plot for [i=int(word(firsts, panel)):int(word(lasts, panel))] data index i using 1:2 \
        with linespoints title columnheader(1)
}
unset multiplot
