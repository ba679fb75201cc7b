# SPDX-License-Identifier: GPL-2.0
#
# Reads lines "figure ROUND NET NAME VALUE" and prints a table: for each NAME the median
# and the spread (half the range between the quartiles) over the rounds by NET.
#
# -v nets="tcp=TCP smc=SMC-D"   the columns and their titles
# -v ratios="smc/tcp"           ratios of medians, in columns behind those
# -v aims="NAME:smc/tcp:>4:>1.5"  an aim, and a floor if there is one, for a ratio of
#                               NAME, or a list of such; exit with 1 if one is below it

function number(x) {
	return sprintf(x < 10 ? "%.3f" : "%.1f", x)
}

function cell(f, net,	i, m, x, q) {
	m = n[f, net]
	if (!m)
		return "-"
	for (i = 1; i <= m; i++)
		x[i] = v[f, net, i] + 0
	asort(x)
	med[f, net] = m % 2 ? x[(m + 1) / 2] : (x[m / 2] + x[m / 2 + 1]) / 2
	q = (x[int((3 * m + 3) / 4)] - x[int((m + 3) / 4)]) / 2
	return sprintf("%s +- %4.1f%%", number(med[f, net]),
		med[f, net] ? 100 * q / med[f, net] : 0)
}

# "a/b" of a figure, 0 if there is none
function ratio(f, r,	net) {
	split(r, net, "/")
	return med[f, net[2]] ? med[f, net[1]] / med[f, net[2]] : 0
}

function reaches(x, limit) {
	return limit ~ /^>/ ? x >= substr(limit, 2) + 0 : x > 0 && x <= substr(limit, 2) + 0
}

function verdict(aim,	a, n, x) {
	n = split(aim, a, ":")
	x = ratio(a[1], a[2])
	printf "%s, %s: %.2f, aim %s %s", a[1], a[2], x, a[3],
		reaches(x, a[3]) ? "reached" : "not reached"
	if (n > 3)
		printf ", floor %s %s", a[4], reaches(x, a[4]) ? "reached" : "NOT REACHED"
	print ""
	return n > 3 && !reaches(x, a[4])
}

/^figure / {
	if (!($4 in seen)) {
		seen[$4]
		names[++k] = $4
	}
	v[$4, $3, ++n[$4, $3]] = $5
}

END {
	columns = split(nets, net, " ")
	nr = split(ratios, r, " ")
	printf "%-40s", ""
	for (c = 1; c <= columns; c++) {
		title = net[c]
		sub(/=.*/, "", net[c])
		sub(/^[^=]*=/, "", title)
		gsub(/_/, " ", title)
		printf " %18s", title
	}
	for (c = 1; c <= nr; c++)
		printf " %10s", r[c]
	print ""
	for (i = 1; i <= k; i++) {
		printf "%-40s", names[i]
		for (c = 1; c <= columns; c++)
			printf " %18s", cell(names[i], net[c])
		for (c = 1; c <= nr; c++)
			printf " %10s", ratio(names[i], r[c]) ? sprintf("%.2f", ratio(names[i], r[c])) : "-"
		print ""
	}
	nr = split(aims, aim, " ")
	for (c = 1; c <= nr; c++)
		bad += verdict(aim[c])
	exit bad > 0
}
