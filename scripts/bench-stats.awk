# SPDX-License-Identifier: GPL-2.0
#
# Reads lines "ROUND SIDE FIGURE VALUE" (SIDE is a or b), compares a with b pair by
# pair, and prints all pairs and the 95 % interval of the ratio.  Ratios are compared
# as logarithms, so that a/b and b/a give the same answer.
#
# -v bounds="FIGURE=>0.97 FIGURE=<1.03": the interval includes or beats that

function t95(df) {
	# Student's t, two-sided 95 %
	split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228 2.201 2.179 " \
	      "2.160 2.145 2.131 2.120 2.110 2.101 2.093 2.086", t, " ")
	return df <= 20 ? t[df] : 2.08
}

function median(values, n,	i, v) {
	for (i = 1; i <= n; i++)
		v[i] = values[i] + 0
	asort(v)
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

{
	if (!($3 in known)) {
		known[$3]
		order[++figures] = $3
	}
	value[$3, $2, $1] = $4
	if ($1 > rounds)
		rounds = $1
}

END {
	n = split(bounds, b, " ")
	for (i = 1; i <= n; i++)
		if (match(b[i], /=[<>]/))
			bound[substr(b[i], 1, RSTART - 1)] = substr(b[i], RSTART + 1)
	for (k = 1; k <= figures; k++) {
		f = order[k]
		sum = squares = n = 0
		printf "%s\n", f
		for (r = 1; r <= rounds; r++) {
			x = value[f, "a", r]
			y = value[f, "b", r]
			if (!(x > 0 && y > 0)) {
				printf "  pair %2d: missing\n", r
				missing = 1
				continue
			}
			n++
			xs[n] = x
			ys[n] = y
			l = log(x / y)
			sum += l
			squares += l * l
			printf "  pair %2d: %12.2f %12.2f   %.3f\n", r, x, y, x / y
		}
		if (n < 2)
			continue
		mean = sum / n
		sd = sqrt(squares > n * mean * mean ? (squares - n * mean * mean) / (n - 1) : 0)
		e = t95(n - 1) * sd / sqrt(n)
		lo = exp(mean - e)
		hi = exp(mean + e)
		verdict = ""
		if (f in bound) {
			limit = substr(bound[f], 2) + 0
			good = bound[f] ~ /^>/ ? hi >= limit : lo <= limit
			verdict = sprintf("   must include or beat %.2f: %s", limit, good ? "yes" : "NO")
			bad += !good
		}
		printf "  medians: %12.2f %12.2f   mean ratio %.3f, 95 %% interval %.3f to %.3f, spread %.1f %%%s\n",
			median(xs, n), median(ys, n), exp(mean), lo, hi, 100 * sd, verdict
	}
	exit bad > 0 || missing
}
