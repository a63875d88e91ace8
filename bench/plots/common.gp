# What all plots share. bench/plots.py sets `data` and `output`: a file of blocks, each with its
# title first, and the picture to be written.
set terminal svg size width,420 background "white" font "sans,13"
set output output
set border 3 lc rgb "#444444"
set tics nomirror textcolor rgb "#222222"
set grid lc rgb "#dddddd"
set key below reverse Left samplen 2 width 2 spacing 1.1
set linetype 1 lc rgb "#0072b2" lw 2 pt 7 ps 0.6
set linetype 2 lc rgb "#d55e00" lw 2 pt 5 ps 0.6
set linetype 3 lc rgb "#009e73" lw 2 pt 9 ps 0.7
set linetype 4 lc rgb "#cc79a7" lw 2 pt 13 ps 0.7
set linetype 5 lc rgb "#e69f00" lw 2 pt 11 ps 0.7
set linetype 6 lc rgb "#56b4e9" lw 2 pt 4 ps 0.6
